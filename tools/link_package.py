"""Link the rooms into one package, as they are once installed, for tools that read source.

The rooms stand at the top of the repository and are imported as ``scoregate.<room>``. Python
finds them through the mapping in pyproject.toml; a type checker or an API generator looks for
folders. This writes ``build/package/scoregate`` with a link for each source file.
"""

from __future__ import annotations

import os
import shutil
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TARGET = ROOT / "build" / "package"


def main() -> None:
    """Write the folder of links anew."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())
    rooms = settings["tool"]["setuptools"]["package-dir"]
    shutil.rmtree(TARGET, ignore_errors=True)
    for package, folder in rooms.items():
        shutil.copytree(
            ROOT / folder,
            TARGET.joinpath(*package.split(".")),
            copy_function=os.symlink,
            ignore=shutil.ignore_patterns("__pycache__", "*.so"),
        )


if __name__ == "__main__":
    main()
