"""The public face of the ABC core and of conversion."""

from __future__ import annotations

import scoregate.abc
import scoregate.convert


def test_the_abc_core_exports_what_it_promises() -> None:
    assert scoregate.abc.__all__ == [
        "Bar", "Event", "Finished", "Score", "Voice", "finish", "read", "split_tunes",
    ]  # fmt: skip
    assert all(hasattr(scoregate.abc, name) for name in scoregate.abc.__all__)


def test_conversion_exports_what_it_promises() -> None:
    assert scoregate.convert.__all__ == [
        "SUFFIXES", "Bar", "Conversion", "ConversionError", "Piece", "convert", "convert_file",
        "needs_conversion", "piece_text", "to_abc",
    ]  # fmt: skip
    assert all(hasattr(scoregate.convert, name) for name in scoregate.convert.__all__)
