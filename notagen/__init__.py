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

from scoregate.notagen.generation import Generation, Progress
from scoregate.notagen.text import styles
from scoregate.notagen.text.styles import Style

if TYPE_CHECKING:
    from scoregate.notagen.engine import Engine, load
    from scoregate.notagen.scheduler import Interrupted

__all__ = ["Engine", "Generation", "Interrupted", "Progress", "Style", "load", "styles"]


def __getattr__(name: str) -> Any:
    if name in ("Engine", "load"):
        from scoregate.notagen import engine

        return getattr(engine, name)
    if name == "Interrupted":
        from scoregate.notagen.scheduler import Interrupted

        return Interrupted
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
