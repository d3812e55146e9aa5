"""Write the API reference into build/api from the docstrings. ``make api`` runs it.

pdoc looks for folders; ``tools/link_package.py`` has linked the rooms into build/package before.
"""

from __future__ import annotations

import sys
import warnings
from importlib import import_module
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "build" / "package"
TARGET = ROOT / "build" / "api"

# What other programs may rely on. Modules below these packages are the program's own affair.
PUBLIC = (
    "scoregate",
    "scoregate.abc",
    "scoregate.archive",
    "scoregate.convert",
    "scoregate.errors",
    "scoregate.findings",
    "scoregate.generator",
    "scoregate.lstm",
    "scoregate.notagen",
    "scoregate.render",
    "scoregate.requests",
    "scoregate.validators",
)


def main() -> None:
    """Run pdoc on the public modules."""
    sys.path.insert(0, str(PACKAGE))
    import pdoc

    warnings.filterwarnings("ignore", message="'scoregate' may refer to", module="pdoc")
    warnings.filterwarnings("ignore", message="Error parsing type annotation", module="pdoc")
    for name in PUBLIC:
        _import_lazy_names(import_module(name))
    pdoc.render.configure(docformat="numpy", footer_text="Scoregate")
    # A name brings everything below it; of the top package that would be the whole program.
    top, *rest = PUBLIC
    pdoc.pdoc(top, rf"!{top}\..*", *rest, output_directory=TARGET)
    print(f"Written: {TARGET.relative_to(ROOT)}/index.html")


def _import_lazy_names(module: ModuleType) -> None:
    """Put the names that a module imports when they are asked for where pdoc looks."""
    for name in getattr(module, "__all__", ()):
        vars(module)[name] = getattr(module, name)


if __name__ == "__main__":
    main()
