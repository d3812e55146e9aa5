"""Make the index of known pieces: run this module with FOLDER [OUT].
[OUT]``.

FOLDER holds ABC files (``python -m scoregate.notagen.training.corpus FOLDER`` writes the chorales
that the embedded model was trained on); a piece is called as its file. OUT is
``validators/analysis/novelty.npz`` if left out.
"""

from __future__ import annotations

import sys
from pathlib import Path

from scoregate.abc.reader import read
from scoregate.errors import UnreadableError
from scoregate.validators.gates.novelty import save

SHIPPED = Path(__file__).with_name("novelty.npz")


def build(folder: Path, out: Path = SHIPPED) -> int:
    """Index every ABC file in a folder and below; return their number.

    Raises
    ------
    UnreadableError
        When there is none.
    """
    files = sorted(folder.rglob("*.abc"), key=lambda path: path.stem)
    if not files:
        raise UnreadableError(f"{folder} holds no .abc files.", "Name a folder of scores.")
    save(out, {path.stem: read(path.read_bytes()) for path in files})
    return len(files)


if __name__ == "__main__":
    place = Path(sys.argv[2]) if len(sys.argv) > 2 else SHIPPED
    print(f"{build(Path(sys.argv[1]), place)} pieces -> {place}")
