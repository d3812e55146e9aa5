"""NotaGen in plain torch: from a prompt to ABC text.

::

    import notagen

    engine = notagen.load()
    piece, = engine.generate(["%Baroque\\n%Bach, Johann Sebastian\\n%Choral\\n"], seeds=[7])
    print(piece.text)

Importing this package is cheap: torch is imported when an engine is loaded.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from notagen import styles
from notagen.generation import Generation, Progress
from notagen.styles import Style

if TYPE_CHECKING:
    from notagen.engine import Engine, load
    from notagen.run import Interrupted

__all__ = ["Engine", "Generation", "Interrupted", "Progress", "Style", "load", "styles"]


def __getattr__(name: str) -> Any:
    if name in ("Engine", "load"):
        from notagen import engine

        return getattr(engine, name)
    if name == "Interrupted":
        from notagen.run import Interrupted

        return Interrupted
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
