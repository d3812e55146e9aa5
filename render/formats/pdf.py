"""The engraved pages as one PDF on A4, by typst.

typst was chosen over CairoSVG, which needs the system's cairo and takes its fonts from the
machine, and over svglib, which scales Verovio's nested views wrongly. It comes as one wheel
with its own fonts, so the same pages give the same bytes everywhere, in about 25 ms. It is
not a dependency of the program: ``pip install 'scoregate[pdf]'``.
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

from scoregate.render.artefacts import Artefact, Material, NotMade, When, find

_PAGES = """
#let piece = json("piece.json")
#set document(title: piece.title, date: none)
#set page(
  paper: "a4",
  margin: (x: 10mm, top: 12mm, bottom: 14mm),
  footer: align(center, text(8pt, context counter(page).display("1 / 1", both: true))),
)
#for (index, name) in piece.pages.enumerate() {
  if index > 0 { pagebreak() }
  if index == 0 and piece.title != "" {
    align(center, text(14pt, piece.title))
    v(2mm)
  }
  block(height: 1fr, width: 100%, layout(space => {
    let wide = image(name, width: space.width)
    if measure(wide).height <= space.height { wide } else {
      align(center, image(name, height: space.height))
    }
  }))
}
"""


def make(material: Material) -> dict[str, bytes]:
    """Return ``score.pdf``: a title, then one engraved page on each sheet."""
    try:
        import typst
    except ImportError as error:
        raise NotMade("typst is not installed: pip install 'scoregate[pdf]'") from error

    names = find("engraving").of(material.files)
    # typst reads nothing outside the folder that is named as its root.
    with tempfile.TemporaryDirectory(prefix="scoregate-") as folder:
        root = Path(folder)
        for name in names:
            (root / name).write_bytes(material.files[name])
        piece = {"title": material.title, "pages": names}
        (root / "piece.json").write_text(json.dumps(piece), encoding="utf-8")
        (root / "main.typ").write_text(_PAGES, encoding="utf-8")
        try:
            content = typst.compile(
                str(root / "main.typ"), root=folder, ignore_system_fonts=True, format="pdf"
            )
        except RuntimeError as error:
            raise NotMade(f"typst can't read the pages: {error}") from error
    return {"score.pdf": content}


ARTEFACTS = (
    Artefact(
        name="pdf",
        title="PDF",
        file="score.pdf",
        media_type="application/pdf",
        made_from=("engraving",),
        when=When.ON_DEMAND,
        make=make,
    ),
)
