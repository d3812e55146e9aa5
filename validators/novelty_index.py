"""Make the index of known pieces: ``python -m validators.novelty_index FOLDER [OUT]``.

FOLDER holds ABC files (``python -m notagen.training.corpus FOLDER`` writes the chorales
that the embedded model was trained on); a piece is called as its file. OUT is
``validators/novelty.npz`` if left out.
"""

from __future__ import annotations

import sys
from pathlib import Path

from scoregate.errors import UnreadableError
from validators.novelty import save
from validators.reader import read

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
