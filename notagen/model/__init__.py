"""The model: its shape, the plain torch module, and the slow path that needs no cache.

Importing this package imports no torch; ``NotaGen`` is imported when it is asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from scoregate.notagen.model.shape import HEAD_SIZE, PATCH_SIZE, VOCABULARY, ModelShape, shape_of

if TYPE_CHECKING:
    from scoregate.notagen.model.network import NotaGen

__all__ = ["HEAD_SIZE", "PATCH_SIZE", "VOCABULARY", "ModelShape", "NotaGen", "shape_of"]


def __getattr__(name: str) -> Any:
    if name == "NotaGen":
        from scoregate.notagen.model.network import NotaGen

        return NotaGen
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
