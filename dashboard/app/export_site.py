"""Pieces as a folder of pages that opens from disk, with sound and without a server.

The player's files are those of :mod:`scoregate.dashboard.offline`; each page holds its own
MIDI and engraving.
"""

from __future__ import annotations

import base64
import io
import json
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from markupsafe import Markup

from scoregate.archive.atomic import write_file
from scoregate.archive.records import PieceReport
from scoregate.dashboard.app.engraved import page_names, pages_of
from scoregate.dashboard.app.piece_view import PieceView, view_of
from scoregate.dashboard.app.routes_pieces import view_of_row
from scoregate.dashboard.app.site import FOLDER, Site, environment
from scoregate.dashboard.offline import SCRIPT_SOURCES, player_files
from scoregate.dashboard.timeline import timeline_of, timeline_of_text

_SCRIPTS = ("static/score.js", "static/app.js")
_STYLES = ("static/app.css", "vendor/eb-garamond-normal.woff2", "vendor/eb-garamond-italic.woff2")
POLICY = (
    f"default-src 'none'; script-src {SCRIPT_SOURCES}; "
    "worker-src 'self' data:; style-src 'self' file:; font-src 'self' file:; "
    "img-src 'self' data:; base-uri 'none'; form-action 'none'"
)
_OFFERED = ("score.abc", "raw.abc", "score.mid", "score.musicxml", "report.json")
_LABELS = {
    "score.abc": "ABC, finished",
    "raw.abc": "ABC as written",
    "score.mid": "MIDI",
    "score.musicxml": "MusicXML",
    "report.json": "Report (JSON)",
}


def files_of(site: Site, rows: Sequence[dict[str, Any]], title: str) -> dict[str, bytes]:
    """Return the files of an export by their paths.

    Parameters
    ----------
    site : Site
    rows : sequence of dict
        Rows of the catalog, in the order of the export.
    title : str
        Of its first page.
    """
    names = [f"pieces/{position:03d}-{row['text_sha256'][:8]}" for position, row in
             enumerate(rows, 1)]  # fmt: skip
    files: dict[str, bytes] = {}
    entries = []
    for position, (row, stem) in enumerate(zip(rows, names, strict=True)):
        view, report = view_of_row(site, row)
        folder = site.library.folder(row)
        contents = {name: (folder / name).read_bytes() for name in view.files}
        links = []
        for name in _OFFERED:
            if name in contents:
                files[f"{stem}/{name}"] = contents[name]
                links.append((f"{Path(stem).name}/{name}", _LABELS[name]))
        pages = [_decoded(contents.get(name)) for name in page_names(report)] if report else []
        text = _decoded(contents.get("score.abc"))
        files[f"{stem}.html"] = _page(
            view,
            pages,
            contents.get("score.mid", b""),
            timeline_of_text(text),
            links=links,
            root="../",
            index="../index.html",
            previous=f"{Path(names[position - 1]).name}.html" if position else "",
            next=f"{Path(names[position + 1]).name}.html" if rows[position + 1 :] else "",
        )
        entries.append({"address": f"{stem}.html", "view": view})
    files["index.html"] = _encoded(
        environment()
        .get_template("static_index.html")
        .render(title=title, entries=entries, root="", policy=POLICY)
    )
    return {**files, **{f"assets/{name}": content for name, content in assets().items()}}


# More than six parameters: what a page shows of a piece comes from different places.
def write_piece(
    path: Path,
    report: PieceReport,
    *,
    text: str,
    source: str,
    pages: Sequence[str],
    files: Mapping[str, bytes],
    score: Any = None,
) -> None:
    """Write the page of one piece, with its files and the player in a folder beside it.

    Parameters
    ----------
    path : Path
        Of the page; the folder is called like it, with ``_files`` at the end.
    report : PieceReport
    text : str
        The finished ABC.
    source : str
        The text as it was handed in, in which findings count lines.
    pages : sequence of str
        Engraved pages as SVG.
    files : mapping of str to bytes
        By name; offered as downloads, ``score.mid`` is played.
    score : Score, optional
        The text as read, where the caller has it.

    Raises
    ------
    ArchiveError
        Something can't be written.
    """
    timeline = timeline_of(score) if score is not None and score.voices else timeline_of_text(text)
    view = view_of(report, text=source, voices=timeline["voices"], files=list(files))
    beside = path.with_name(f"{path.stem}_files")
    links = []
    for name, content in files.items():
        if name in _LABELS:
            write_file(beside / name, content)
            links.append((f"{beside.name}/{name}", _LABELS[name]))
    for name, content in assets().items():
        write_file(beside / name, content)
    page = _page(view, pages, files.get("score.mid", b""), timeline, links=links, root="",
                 assets=f"{beside.name}/", open_first=True)  # fmt: skip
    write_file(path, page)


def write_folder(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write an export into a folder."""
    for name, content in files.items():
        write_file(folder / name, content)


def zipped(files: Mapping[str, bytes]) -> bytes:
    """Return an export as a ZIP, all of it in one folder."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for name, content in files.items():
            archive.writestr(f"scoregate-export/{name}", content)
    return made.getvalue()


def assets() -> dict[str, bytes]:
    """Return the player, the style and the sound font by their paths below ``assets/``."""
    found = {name: (FOLDER / name).read_bytes() for name in (*_SCRIPTS, *_STYLES)}
    licence = "vendor/LICENSE-EB-Garamond.txt"
    return {**player_files(), **found, licence: (FOLDER / licence).read_bytes()}


def _page(
    view: PieceView,
    pages: Sequence[str],
    midi: bytes,
    timeline: dict[str, Any],
    *,
    links: Sequence[tuple[str, str]],
    root: str,
    assets: str = "",
    index: str = "",
    previous: str = "",
    next: str = "",
    open_first: bool = False,
) -> bytes:
    # More keywords than usual: each is one thing that differs between the pages.
    return _encoded(
        environment()
        .get_template("static_piece.html")
        .render(
            piece=view,
            pages=[Markup(page) for page in pages_of(pages, view.name)],
            midi=base64.b64encode(midi).decode(),
            timeline=json.dumps(timeline),
            links=links,
            assets=assets or f"{root}assets/",
            index=index,
            previous=previous,
            next=next,
            open_first=open_first,
            policy=POLICY,
        )
    )


def _decoded(content: bytes | None) -> str:
    return (content or b"").decode("utf-8", "backslashreplace")


def _encoded(text: str) -> bytes:
    return text.encode("utf-8", "backslashreplace")
