"""NotaGen in plain torch: from a prompt to ABC text.

::

    from scoregate import notagen

    engine = notagen.load()
    piece, = engine.generate(["%Baroque\\n%Bach, Johann Sebastian\\n%Choral\\n"], seeds=[7])
    print(piece.text)

Importing this package is cheap: torch is imported when an engine is loaded.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from scoregate.notagen.engine import Engine, load
    from scoregate.notagen.weights.registry import trained_styles

__all__ = ["Engine", "load", "trained_styles"]


def __getattr__(name: str) -> Any:
    if name in ("Engine", "load"):
        from scoregate.notagen import engine

        return getattr(engine, name)
    if name == "trained_styles":
        from scoregate.notagen.weights.registry import trained_styles

        return trained_styles
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
