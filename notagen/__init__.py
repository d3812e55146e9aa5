r"""NotaGen: from a prompt to ABC text, with the released weights or the embedded ones.

::

    from scoregate import notagen

    engine = notagen.load()
    piece, = engine.generate(["Baroque/Bach, Johann Sebastian/Choral"], seeds=[7])
    print(piece.text)

The module is a :class:`scoregate.generator.GeneratorFactory`. Importing it is cheap: torch is
imported when an engine is loaded.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from scoregate.notagen.engine import Engine, load
    from scoregate.notagen.weights.registry import trained_styles, weights_for

__all__ = ["Engine", "load", "trained_styles", "weights_for"]


def __getattr__(name: str) -> Any:
    if name in ("Engine", "load"):
        from scoregate.notagen import engine

        return getattr(engine, name)
    if name in ("trained_styles", "weights_for"):
        from scoregate.notagen.weights import registry

        return getattr(registry, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
