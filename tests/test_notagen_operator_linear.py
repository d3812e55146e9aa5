"""Linear layers on PyTorch's operators, on processors with and without bf16 and VNNI."""

from __future__ import annotations

import pytest
import torch

from scoregate.notagen.backends import operator_linear
from scoregate.notagen.backends.operator_linear import (
    Int8Linear,
    PackedBf16Linear,
    PlainLinear,
    StoredBf16Linear,
    bf16_is_supported,
    pack_linear,
    sums_of_8_bits_are_exact,
)


def layer(precision, seed=0):
    """Return rows, a layer, and the layer's exact result."""
    random = torch.Generator().manual_seed(seed)
    x = torch.randn(5, 192, generator=random)
    weight = torch.randn(192, 96, generator=random) * 0.1
    bias = torch.randn(96, generator=random)
    return x, pack_linear(weight, bias, precision), x @ weight + bias


@pytest.mark.parametrize(("precision", "close"), [("fp32", 1e-5), ("bf16", 0.02), ("int8", 0.05)])
def test_layers_agree_with_the_matrix_product(precision, close):
    if precision == "int8" and not sums_of_8_bits_are_exact():
        # Inputs have seven bits there: twice the step, so twice the error of eight.
        close *= 2
    x, linear, expected = layer(precision)
    other = torch.ones_like(expected)
    torch.testing.assert_close(linear(x), expected, atol=close, rtol=close)
    gelu = torch.nn.functional.gelu(expected, approximate="tanh")
    torch.testing.assert_close(linear.gelu(x).float(), gelu, atol=close, rtol=close)
    torch.testing.assert_close(linear.add(x, other).float(), expected + 1, atol=close, rtol=close)


def test_largest_inputs_in_int8_do_not_overflow():
    """Two products of 255 and 127 exceed 16 bits, in which processors without VNNI add them."""
    weight = torch.ones(128, 32)
    found = Int8Linear(weight, None)(torch.ones(3, 128))
    torch.testing.assert_close(found, torch.full((3, 32), 128.0), atol=0, rtol=0.01)


def test_inputs_have_seven_bits_only_where_eight_overflow(monkeypatch):
    assert Int8Linear(torch.ones(64, 32), None).reduce_range is not sums_of_8_bits_are_exact()
    monkeypatch.setattr(operator_linear, "sums_of_8_bits_are_exact", lambda: True)
    assert not Int8Linear(torch.ones(64, 32), None).reduce_range


def test_bf16_is_stored_where_the_processor_can_not_compute_with_it(monkeypatch):
    monkeypatch.setattr(operator_linear, "bf16_is_supported", lambda: False)
    x, linear, expected = layer("bf16")
    assert isinstance(linear, StoredBf16Linear)
    assert linear.weight.dtype == torch.bfloat16
    torch.testing.assert_close(linear(x), expected, atol=0.02, rtol=0.02)


@pytest.mark.skipif(not bf16_is_supported(), reason="no bf16 on this processor")
def test_bf16_is_computed_with_where_the_processor_can():
    assert isinstance(layer("bf16")[1], PackedBf16Linear)


def test_without_onednn_plain_layers_are_used(monkeypatch):
    monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: False)
    assert isinstance(layer("fp32")[1], PlainLinear)
    assert isinstance(layer("bf16")[1], StoredBf16Linear)
