"""Small models and a scripted one, for the tests of the engine."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from scoregate.generator import Generation, Limits
from scoregate.notagen.draft import Draft
from scoregate.notagen.engine import Engine
from scoregate.notagen.model.network import NotaGen
from scoregate.notagen.model.shape import PATCH_SIZE, ModelShape
from scoregate.notagen.text.patches import END, EOS_PATCH, PAD, encode_unit, units_of
from scoregate.notagen.weights import open_checkpoint, write_safetensors
from scoregate.sampling import Sampling

ORACLE = Path(__file__).parent / "data" / "oracle"
PROMPT = "%Baroque\n%Bach, Johann Sebastian\n%Choral\n"
HEADER = "%%score 1 2\nL:1/8\nM:4/4\nK:C\nV:1 treble\nV:2 bass\n"


def random_weights(path: Path, shape: ModelShape, seed: int = 0, spread: float = 8.0) -> Path:
    """Write random weights whose draws differ: the characters' embedding is scaled up."""
    model = NotaGen(shape)
    model.reset(torch.Generator().manual_seed(seed))
    state = {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}
    name = "char_level_decoder.base.transformer.wte.weight"
    state[name] *= spread
    del state["char_level_decoder.base.lm_head.weight"]
    write_safetensors(path, iter(state.items()), {}, shape)
    return path


def shorten(source: Path, path: Path, length: int) -> Path:
    """Copy weights with fewer positions, so that contexts overflow early."""
    checkpoint = open_checkpoint(source)
    wpe = "patch_level_decoder.base.wpe.weight"
    shape = replace(checkpoint.shape, length=length)
    tensors = ((n, t[:length].clone() if n == wpe else t) for n, t in checkpoint.read())
    write_safetensors(path, tensors, checkpoint.metadata, shape)
    return path


def say(draft: Draft, text: str, *, closed: bool = True) -> None:
    """Have a draft take a text patch by patch, as if a model had drawn it."""
    units = units_of(text)
    for number, unit in enumerate(units):
        patches = encode_unit(unit)
        if not closed and number == len(units) - 1 and END in patches[-1]:
            patches = patches[:-1]
        say_patches(draft, patches)


def say_patches(draft: Draft, patches: Iterable[tuple[int, ...]]) -> None:
    for patch in patches:
        if draft.ended is None:
            draft.uniforms()
            draft.advance(patch)
            draft.mark_cached()


def begin_body(draft: Draft, text: str) -> None:
    """Say a body's beginning twice: the first patch of it is thrown away."""
    first = encode_unit(units_of(text)[0])[0]
    say_patches(draft, [first])
    say(draft, text)


def finish_piece(draft: Draft) -> None:
    say_patches(draft, [EOS_PATCH])


def bar(number: int, left: int, music: str = "C2 D2 E2 F2") -> str:
    """Return a body line of two voices."""
    return f"[r:{number}/{left}][V:1]{music}|[V:2]C,4 G,,4|\n"


def padded(text: str) -> tuple[int, ...]:
    """Return a text of under 16 characters as a finished patch."""
    codes = [*map(ord, text), END]
    return tuple(codes + [PAD] * (PATCH_SIZE - len(codes)))


def generate(engine: Engine, **values: Any) -> list[Generation]:
    """Generate from one flat set of values; by default one piece of two patches."""
    values = {"prompts": [PROMPT], "seeds": [1], "max_steps": 2} | values
    for name, record in (("sampling", Sampling), ("limits", Limits)):
        fields = [field for field in record.__dataclass_fields__ if field in values]
        values[name] = record(**{field: values.pop(field) for field in fields})
    return engine.generate(**values)
