"""The model for CUDA and MPS: all slots in lockstep, sampling on the device, CUDA graphs.

Every slot is computed at every step, idle ones too, so that shapes never change and the
step can be recorded once and replayed: a patch takes some nine hundred kernels, which cost
more to launch than to run. What a step attends to is rounded up to a span of 256 patches;
each span has a recording of its own. Elsewhere than on CUDA the same functions run directly.

Linear layers and caches are in the chosen precision, the residual stream, norms and the
output layer in fp32, sampling in fp64 where the device has it (MPS has not).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from scoregate.notagen.backends.backend import NotFiniteError
from scoregate.notagen.model.network import NORM_EPSILON
from scoregate.notagen.model.shape import HEAD_SIZE, PATCH_SIZE, VOCABULARY, ModelShape
from scoregate.notagen.sampling import COLD, FLOOR
from scoregate.notagen.text.patches import PAD, Patch
from scoregate.sampling import Sampling

SPAN = 256
_DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
_PATCH = "patch_level_decoder.base"
_CHAR = "char_level_decoder.base.transformer"
_IN_FP32 = ("wte", "wpe", "lm_head", "patch_embedding", "ln_1", "ln_2", "ln_f")


class AcceleratedModel:
    """NotaGen on an accelerator; the same methods as
    :class:`scoregate.notagen.backends.cpu.CachedModel`.

    Parameters
    ----------
    shape : ModelShape
    tensors : iterable of (str, Tensor)
        fp32, by the released keys; each is moved to the device and let go.
    device : str
    precision : {'fp32', 'bf16', 'fp16'}
    """

    kernels = "none"

    def __init__(
        self, shape: ModelShape, tensors: Iterable[tuple[str, Tensor]], device: str, precision: str
    ) -> None:
        self.shape, self.device = shape, torch.device(device)
        self.dtype = _DTYPES[precision]
        self.weights: dict[str, Tensor] = {}
        for name, tensor in tensors:
            plain = any(part in name for part in _IN_FP32)
            ready = tensor if plain else tensor.to(self.dtype)
            # Linear layers read a weight of (outputs, inputs) fastest.
            if not plain and name.endswith(".weight"):
                ready = ready.t().contiguous()
            self.weights[name] = ready.to(self.device)
        table = self.weights.pop("patch_level_decoder.patch_embedding.weight")
        self.patch_table = table.t().contiguous()
        self.patch_places = self.weights[f"{_PATCH}.wpe.weight"] + self.weights.pop(
            "patch_level_decoder.patch_embedding.bias"
        )
        self.exact = torch.float32 if self.device.type == "mps" else torch.float64
        self.slots = 0

    def open(self, slots: int) -> None:
        """Make room for a number of pieces; what was kept before is forgotten."""
        shape, device = self.shape, self.device
        self.capacity = -(-shape.length // SPAN) * SPAN
        kept = (shape.patch_layers, 2, slots, shape.heads, self.capacity, HEAD_SIZE)
        chars = (shape.char_layers, 2, slots, shape.heads, PATCH_SIZE, HEAD_SIZE)
        self.kept = torch.zeros(kept, dtype=self.dtype, device=device)
        self.char_kept = torch.zeros(chars, dtype=self.dtype, device=device)
        self.encoded = torch.zeros(slots, shape.hidden, device=device)
        # What a recording reads and writes has to stay where it is.
        self.patch = torch.zeros(slots, PATCH_SIZE, dtype=torch.long, device=device)
        self.place = torch.zeros(slots, dtype=torch.long, device=device)
        self.moving = torch.zeros(slots, dtype=torch.bool, device=device)
        self.codes = torch.zeros(slots, PATCH_SIZE, dtype=torch.long, device=device)
        self.forced = torch.zeros(slots, PATCH_SIZE, dtype=torch.bool, device=device)
        self.numbers = torch.zeros(slots, PATCH_SIZE, dtype=self.exact, device=device)
        self.finite = torch.ones(slots, dtype=torch.bool, device=device)
        self.rows = torch.arange(slots, device=device)
        self._recordings: dict[object, Callable[[], None]] = {}
        self.slots = slots

    def close(self) -> None:
        """Give the pieces' memory back."""
        # Recordings hold the memory that they were made with, so they go as well.
        self._recordings = {}
        self.kept = self.char_kept = torch.empty(0)
        self.slots = 0

    def read(self, slot: int, first: int, patches: Sequence[Patch]) -> None:
        """Have a slot read several patches, from position ``first`` on."""
        heads, end = self.shape.heads, first + len(patches)
        places = torch.arange(first, end, device=self.device)
        codes = torch.tensor([list(patch) for patch in patches], device=self.device)
        x = self._embed(codes) + self.patch_places[places]
        mask = torch.arange(end, device=self.device)[None, :] <= places[:, None]
        for layer in range(self.shape.patch_layers):
            name = f"{_PATCH}.h.{layer}"
            query, key, value = self._project(name, x).view(-1, 3, heads, HEAD_SIZE).unbind(1)
            keys, values = self.kept[layer, :, slot]
            keys[:, first:end], values[:, first:end] = key.transpose(0, 1), value.transpose(0, 1)
            mixed = F.scaled_dot_product_attention(
                query.transpose(0, 1)[None],
                keys[None, :, :end],
                values[None, :, :end],
                attn_mask=mask,
            )
            x = self._finish(name, mixed[0].transpose(0, 1).reshape(len(x), -1), x)
        self.encoded[slot] = self._norm(f"{_PATCH}.ln_f", x[-1])

    def step(self, slots: Sequence[int], places: Sequence[int], patches: Sequence[Patch]) -> None:
        """Have each slot read one patch at its position."""
        which = torch.tensor(slots, device=self.device)
        self.patch[which] = torch.tensor([list(p) for p in patches], device=self.device)
        self.place[which] = torch.tensor(places, device=self.device)
        self.moving.zero_()
        self.moving[which] = True
        span = (max(places) // SPAN + 1) * SPAN
        self._run(("patch", span), lambda: self._step(span))

    def write(
        self,
        slots: Sequence[int],
        starts: Sequence[Patch],
        uniforms: Sequence[np.ndarray],
        sampling: Sampling,
    ) -> np.ndarray:
        """Draw the next patch of each slot: see :meth:`.notagen.backends.cpu.CachedModel.write`."""
        codes = np.full((self.slots, PATCH_SIZE), PAD, dtype=np.int64)
        forced = np.zeros((self.slots, PATCH_SIZE), dtype=bool)
        numbers = np.zeros((self.slots, PATCH_SIZE))
        for slot, start, drawn in zip(slots, starts, uniforms, strict=True):
            codes[slot, : len(start)] = start
            forced[slot, : len(start)] = True
            numbers[slot, len(start) :] = drawn
        self.codes.copy_(torch.from_numpy(codes))
        self.forced.copy_(torch.from_numpy(forced))
        self.numbers.copy_(torch.from_numpy(numbers).to(self.exact))
        self.finite.fill_(True)
        self._run(("char", sampling), lambda: self._write(sampling))
        which = list(slots)
        finite = self.finite[which]
        if not bool(finite.all()):
            raise NotFiniteError(torch.nonzero(~finite)[:, 0].tolist())
        return self.codes[which].cpu().numpy()

    def _run(self, key: object, work: Callable[[], None]) -> None:
        """Do a step's work; on CUDA replay its recording."""
        if self.device.type != "cuda":
            work()
            return
        # Streams and recordings belong to the device that is current.
        with torch.cuda.device(self.device):
            self._replay(key, work)

    def _replay(self, key: object, work: Callable[[], None]) -> None:
        if key not in self._recordings:
            # Buffers that the work reads and writes are put back after each trial, so that
            # warming up and recording leave no trace.
            before = [tensor.clone() for tensor in (self.codes, self.finite, self.encoded)]

            def restore() -> None:
                for tensor, old in zip(
                    (self.codes, self.finite, self.encoded), before, strict=True
                ):
                    tensor.copy_(old)

            aside = torch.cuda.Stream()
            aside.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(aside):
                for _ in range(2):
                    work()
                    restore()
            torch.cuda.current_stream().wait_stream(aside)
            graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(graph):
                work()
            restore()
            self._recordings[key] = graph.replay
        self._recordings[key]()

    def _step(self, span: int) -> None:
        heads, hidden = self.shape.heads, self.shape.hidden
        x = self._embed(self.patch) + self.patch_places[self.place]
        seen = torch.arange(span, device=self.device) <= self.place[:, None]
        mask = seen[:, None, None, :]
        for layer in range(self.shape.patch_layers):
            name = f"{_PATCH}.h.{layer}"
            query, key, value = self._project(name, x).view(-1, 3, heads, HEAD_SIZE).unbind(1)
            keys, values = self.kept[layer]
            # A slot that does not move writes what it holds already.
            moving = self.moving[:, None, None]
            held = keys[self.rows, :, self.place], values[self.rows, :, self.place]
            keys[self.rows, :, self.place] = torch.where(moving, key, held[0])
            values[self.rows, :, self.place] = torch.where(moving, value, held[1])
            mixed = F.scaled_dot_product_attention(
                query[:, :, None], keys[:, :, :span], values[:, :, :span], attn_mask=mask
            )
            x = self._finish(name, mixed.reshape(-1, hidden), x)
        x = self._norm(f"{_PATCH}.ln_f", x)
        self.encoded.copy_(torch.where(self.moving[:, None], x, self.encoded))

    def _write(self, sampling: Sampling) -> None:
        heads, hidden = self.shape.heads, self.shape.hidden
        table, places = self.weights[f"{_CHAR}.wte.weight"], self.weights[f"{_CHAR}.wpe.weight"]
        x = self.encoded
        for at in range(PATCH_SIZE):
            x = x + places[at]
            for layer in range(self.shape.char_layers):
                name = f"{_CHAR}.h.{layer}"
                query, key, value = self._project(name, x).view(-1, 3, heads, HEAD_SIZE).unbind(1)
                keys, values = self.char_kept[layer]
                keys[:, :, at], values[:, :, at] = key, value
                mixed = F.scaled_dot_product_attention(
                    query[:, :, None], keys[:, :, : at + 1], values[:, :, : at + 1]
                )
                x = self._finish(name, mixed.reshape(-1, hidden), x)
            logits = F.linear(self._norm(f"{_CHAR}.ln_f", x), table)
            forced = self.forced[:, at]
            self.finite.logical_and_(torch.isfinite(logits).all(dim=1) | forced)
            drawn = draw_on_device(logits, self.numbers[:, at], sampling)
            self.codes[:, at] = torch.where(forced, self.codes[:, at], drawn)
            x = table[self.codes[:, at]]

    def _embed(self, codes: Tensor) -> Tensor:
        offsets = torch.arange(PATCH_SIZE, device=self.device) * VOCABULARY
        return F.embedding(codes + offsets, self.patch_table).sum(dim=1)

    def _norm(self, name: str, x: Tensor) -> Tensor:
        weight, bias = self.weights[f"{name}.weight"], self.weights[f"{name}.bias"]
        return F.layer_norm(x, (self.shape.hidden,), weight, bias, NORM_EPSILON)

    def _linear(self, name: str, x: Tensor) -> Tensor:
        weight, bias = self.weights[f"{name}.weight"], self.weights[f"{name}.bias"]
        return F.linear(x.to(self.dtype), weight, bias)

    def _project(self, block: str, x: Tensor) -> Tensor:
        return self._linear(f"{block}.attn.c_attn", self._norm(f"{block}.ln_1", x))

    def _finish(self, block: str, mixed: Tensor, x: Tensor) -> Tensor:
        x = x + self._linear(f"{block}.attn.c_proj", mixed)
        inner = self._linear(f"{block}.mlp.c_fc", self._norm(f"{block}.ln_2", x))
        return x + self._linear(f"{block}.mlp.c_proj", F.gelu(inner, approximate="tanh"))


def draw_on_device(logits: Tensor, uniforms: Tensor, sampling: Sampling) -> Tensor:
    """Draw one character a row, as :func:`scoregate.notagen.sampling.draw` does.

    Parameters
    ----------
    logits : Tensor, (rows, 128), fp32
    uniforms : Tensor, (rows,)
        Its precision is the one computed in.
    sampling : Sampling

    Returns
    -------
    Tensor, (rows,), int64
    """
    p = torch.nan_to_num(torch.softmax(logits, dim=-1)).to(uniforms.dtype)
    p = _normalise(p)
    ranked, order = torch.sort(p, dim=1, descending=True)
    if 0 < sampling.top_k < VOCABULARY:
        ranked[:, sampling.top_k :] = 0
    ranked = _normalise(ranked / ranked.sum(dim=1, keepdim=True))
    if sampling.top_p < 1:
        before = torch.cumsum(ranked, dim=1) - ranked
        ranked = torch.where(before > sampling.top_p, torch.zeros_like(ranked), ranked)
    ranked = _normalise(ranked)
    if sampling.temperature < COLD:
        ranked = ranked / ranked[:, :1]
    p = torch.zeros_like(p).scatter(1, order, ranked)
    if sampling.temperature != 1:
        p = p ** (1 / sampling.temperature)
    edges = torch.cumsum(p / p.sum(dim=1, keepdim=True), dim=1)
    above = edges / edges[:, -1:] > uniforms[:, None]
    return above.to(torch.int64).argmax(dim=1)


def _normalise(p: Tensor) -> Tensor:
    p = p.clamp_min(0) + FLOOR
    return p / p.sum(dim=1, keepdim=True)
