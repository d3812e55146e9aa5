"""The backend for CUDA and MPS: all slots together, sampling on the device, CUDA graphs.

Every slot is computed in every call, idle ones too. Shapes then never change, so that a call can
be captured once as a CUDA graph and replayed: a patch takes about nine hundred kernels, which cost
more to launch than to run. The positions attended to are rounded up to a multiple of 256; each
such span has a graph of its own. On devices other than CUDA the same functions run directly.

Linear layers and KV caches are in the chosen precision; the residual stream, norms and the output
layer in fp32; sampling in fp64 where the device has it (MPS has not).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from scoregate.notagen.backends.backend import NotFiniteError
from scoregate.notagen.backends.cpu import CHAR_BASE, PATCH_BASE, sampling_inputs, torch_threads
from scoregate.notagen.model.network import NORM_EPSILON
from scoregate.notagen.model.shape import HEAD_SIZE, PATCH_SIZE, VOCABULARY, ModelShape
from scoregate.notagen.sounding import Listener
from scoregate.notagen.text.patches import Patch
from scoregate.sampling import Sampling
from scoregate.token_sampling import COLD, FLOOR

SPAN = 256
"""Positions by which the attention's length grows."""
_DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
_IN_FP32 = ("wte", "wpe", "lm_head", "patch_embedding", "ln_1", "ln_2", "ln_f")


class AcceleratorBackend:
    """NotaGen on an accelerator; a :class:`scoregate.notagen.backends.backend.Backend`.

    Parameters
    ----------
    shape : ModelShape
    tensors : iterable of (str, Tensor)
        fp32, by the released keys; each is moved to the device and dropped.
    device : str
    precision : {'fp32', 'bf16', 'fp16'}
    threads : int
        Of PyTorch on the CPU, for what is prepared there.

    Attributes
    ----------
    cache : Tensor, (layers, 2, slots, heads, capacity, 64)
        Keys and values of the patch level.
    char_cache : Tensor, (layers, 2, slots, heads, 16, 64)
    hidden : Tensor, (slots, hidden)
        The patch level's output for each slot's newest patch.
    """

    kernels = "none"

    def __init__(
        self,
        shape: ModelShape,
        tensors: Iterable[tuple[str, Tensor]],
        device: str,
        precision: str,
        threads: int = 1,
    ) -> None:
        self.shape, self.device, self.threads = shape, torch.device(device), threads
        self.dtype = _DTYPES[precision]
        self.weights: dict[str, Tensor] = {}
        for name, tensor in tensors:
            in_fp32 = any(part in name for part in _IN_FP32)
            ready = tensor if in_fp32 else tensor.to(self.dtype)
            # Linear layers read a weight of (outputs, inputs) fastest.
            if not in_fp32 and name.endswith(".weight"):
                ready = ready.t().contiguous()
            self.weights[name] = ready.to(self.device)
        table = self.weights.pop("patch_level_decoder.patch_embedding.weight")
        self.patch_table = table.t().contiguous()
        self.patch_positions = self.weights[f"{PATCH_BASE}.wpe.weight"] + self.weights.pop(
            "patch_level_decoder.patch_embedding.bias"
        )
        self.sampling_dtype = torch.float32 if self.device.type == "mps" else torch.float64
        self.slots = 0

    def threads_in_use(self) -> AbstractContextManager[None]:
        """See :class:`.backend.Backend`."""
        return torch_threads(self.threads)

    def open(self, slots: int) -> None:
        """See :class:`.backend.Backend`."""
        shape, device = self.shape, self.device
        self.capacity = -(-shape.length // SPAN) * SPAN
        size = (shape.patch_layers, 2, slots, shape.heads, self.capacity, HEAD_SIZE)
        char_size = (shape.char_layers, 2, slots, shape.heads, PATCH_SIZE, HEAD_SIZE)
        self.cache = torch.zeros(size, dtype=self.dtype, device=device)
        self.char_cache = torch.zeros(char_size, dtype=self.dtype, device=device)
        self.hidden = torch.zeros(slots, shape.hidden, device=device)
        # The inputs and outputs of a graph have to stay where they are in memory.
        self.patch = torch.zeros(slots, PATCH_SIZE, dtype=torch.long, device=device)
        self.position = torch.zeros(slots, dtype=torch.long, device=device)
        self.active = torch.zeros(slots, dtype=torch.bool, device=device)
        self.tokens = torch.zeros(slots, PATCH_SIZE, dtype=torch.long, device=device)
        self.forced = torch.zeros(slots, PATCH_SIZE, dtype=torch.bool, device=device)
        self.numbers = torch.zeros(slots, PATCH_SIZE, dtype=self.sampling_dtype, device=device)
        self.finite = torch.ones(slots, dtype=torch.bool, device=device)
        self.rows = torch.arange(slots, device=device)
        self._graphs: dict[object, Callable[[], None]] = {}
        self.slots = slots

    def close(self) -> None:
        """See :class:`.backend.Backend`."""
        # Graphs hold the memory that they were captured with, so they are dropped as well.
        self._graphs = {}
        self.cache = self.char_cache = torch.empty(0)
        self.slots = 0

    def prefill(self, slot: int, start: int, patches: Sequence[Patch]) -> None:
        """See :class:`.backend.Backend`."""
        heads, end = self.shape.heads, start + len(patches)
        positions = torch.arange(start, end, device=self.device)
        tokens = torch.tensor([list(patch) for patch in patches], device=self.device)
        x = self._embed(tokens) + self.patch_positions[positions]
        mask = torch.arange(end, device=self.device)[None, :] <= positions[:, None]
        for layer in range(self.shape.patch_layers):
            name = f"{PATCH_BASE}.h.{layer}"
            query, key, value = self._project(name, x).view(-1, 3, heads, HEAD_SIZE).unbind(1)
            keys, values = self.cache[layer, :, slot]
            keys[:, start:end], values[:, start:end] = key.transpose(0, 1), value.transpose(0, 1)
            attended = F.scaled_dot_product_attention(
                query.transpose(0, 1)[None],
                keys[None, :, :end],
                values[None, :, :end],
                attn_mask=mask,
            )
            x = self._feed_forward(name, attended[0].transpose(0, 1).reshape(len(x), -1), x)
        self.hidden[slot] = self._norm(f"{PATCH_BASE}.ln_f", x[-1])

    def decode(
        self, slots: Sequence[int], positions: Sequence[int], patches: Sequence[Patch]
    ) -> None:
        """See :class:`.backend.Backend`."""
        which = torch.tensor(slots, device=self.device)
        self.patch[which] = torch.tensor([list(p) for p in patches], device=self.device)
        self.position[which] = torch.tensor(positions, device=self.device)
        self.active.zero_()
        self.active[which] = True
        span = (max(positions) // SPAN + 1) * SPAN
        self._run(("decode", span), lambda: self._decode(span))

    def sample(
        self,
        slots: Sequence[int],
        starts: Sequence[Patch],
        uniforms: Sequence[np.ndarray],
        sampling: Sampling,
        listeners: Sequence[Listener] = (),
    ) -> np.ndarray:
        """See :class:`.backend.Backend`."""
        assert not listeners, "weights that are told what sounds run on the CPU"
        tokens, forced, numbers = sampling_inputs(self.slots, slots, starts, uniforms)
        self.tokens.copy_(torch.from_numpy(tokens))
        self.forced.copy_(torch.from_numpy(forced))
        self.numbers.copy_(torch.from_numpy(numbers).to(self.sampling_dtype))
        self.finite.fill_(True)
        self._run(("sample", sampling), lambda: self._sample(sampling))
        which = list(slots)
        finite = self.finite[which]
        if not bool(finite.all()):
            raise NotFiniteError(torch.nonzero(~finite)[:, 0].tolist())
        return self.tokens[which].cpu().numpy()

    def _run(self, key: object, work: Callable[[], None]) -> None:
        """Do some work; on CUDA replay its graph, which is captured the first time."""
        if self.device.type != "cuda":
            work()
            return
        # Streams and graphs belong to the current device.
        with torch.cuda.device(self.device):
            if key not in self._graphs:
                self._graphs[key] = self._capture(work)
            self._graphs[key]()

    def _capture(self, work: Callable[[], None]) -> Callable[[], None]:
        """Capture work as a CUDA graph and return what replays it."""
        # The work overwrites its inputs. They are put back after each trial, so that warming up
        # and capturing change nothing.
        buffers = (self.tokens, self.finite, self.hidden)
        before = [tensor.clone() for tensor in buffers]

        def restore() -> None:
            for tensor, old in zip(buffers, before, strict=True):
                tensor.copy_(old)

        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(2):
                work()
                restore()
        torch.cuda.current_stream().wait_stream(side)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            work()
        restore()
        return graph.replay

    def _decode(self, span: int) -> None:
        """Process ``patch`` of all slots at ``position``, over the first ``span`` positions."""
        heads, hidden = self.shape.heads, self.shape.hidden
        x = self._embed(self.patch) + self.patch_positions[self.position]
        mask = (torch.arange(span, device=self.device) <= self.position[:, None])[:, None, None, :]
        active = self.active[:, None, None]
        for layer in range(self.shape.patch_layers):
            name = f"{PATCH_BASE}.h.{layer}"
            query, key, value = self._project(name, x).view(-1, 3, heads, HEAD_SIZE).unbind(1)
            keys, values = self.cache[layer]
            # An idle slot writes what it holds already.
            old = keys[self.rows, :, self.position], values[self.rows, :, self.position]
            keys[self.rows, :, self.position] = torch.where(active, key, old[0])
            values[self.rows, :, self.position] = torch.where(active, value, old[1])
            attended = F.scaled_dot_product_attention(
                query[:, :, None], keys[:, :, :span], values[:, :, :span], attn_mask=mask
            )
            x = self._feed_forward(name, attended.reshape(-1, hidden), x)
        x = self._norm(f"{PATCH_BASE}.ln_f", x)
        self.hidden.copy_(torch.where(self.active[:, None], x, self.hidden))

    def _sample(self, sampling: Sampling) -> None:
        """Fill ``tokens`` for all slots, 16 positions one after the other."""
        heads, hidden = self.shape.heads, self.shape.hidden
        table = self.weights[f"{CHAR_BASE}.wte.weight"]
        positions = self.weights[f"{CHAR_BASE}.wpe.weight"]
        x = self.hidden
        for at in range(PATCH_SIZE):
            x = x + positions[at]
            for layer in range(self.shape.char_layers):
                name = f"{CHAR_BASE}.h.{layer}"
                query, key, value = self._project(name, x).view(-1, 3, heads, HEAD_SIZE).unbind(1)
                keys, values = self.char_cache[layer]
                keys[:, :, at], values[:, :, at] = key, value
                attended = F.scaled_dot_product_attention(
                    query[:, :, None], keys[:, :, : at + 1], values[:, :, : at + 1]
                )
                x = self._feed_forward(name, attended.reshape(-1, hidden), x)
            logits = F.linear(self._norm(f"{CHAR_BASE}.ln_f", x), table)
            forced = self.forced[:, at]
            self.finite.logical_and_(torch.isfinite(logits).all(dim=1) | forced)
            sampled = sample_on_device(logits, self.numbers[:, at], sampling)
            self.tokens[:, at] = torch.where(forced, self.tokens[:, at], sampled)
            x = table[self.tokens[:, at]]

    def _embed(self, tokens: Tensor) -> Tensor:
        offsets = torch.arange(PATCH_SIZE, device=self.device) * VOCABULARY
        return F.embedding(tokens + offsets, self.patch_table).sum(dim=1)

    def _norm(self, name: str, x: Tensor) -> Tensor:
        weight, bias = self.weights[f"{name}.weight"], self.weights[f"{name}.bias"]
        return F.layer_norm(x, (self.shape.hidden,), weight, bias, NORM_EPSILON)

    def _linear(self, name: str, x: Tensor) -> Tensor:
        weight, bias = self.weights[f"{name}.weight"], self.weights[f"{name}.bias"]
        return F.linear(x.to(self.dtype), weight, bias)

    def _project(self, layer: str, x: Tensor) -> Tensor:
        """Return queries, keys and values side by side: (rows, 3 * hidden)."""
        return self._linear(f"{layer}.attn.c_attn", self._norm(f"{layer}.ln_1", x))

    def _feed_forward(self, layer: str, attended: Tensor, x: Tensor) -> Tensor:
        """Go from a layer's attention to its output: output projection, feed-forward."""
        x = x + self._linear(f"{layer}.attn.c_proj", attended)
        wide = self._linear(f"{layer}.mlp.c_fc", self._norm(f"{layer}.ln_2", x))
        return x + self._linear(f"{layer}.mlp.c_proj", F.gelu(wide, approximate="tanh"))


def sample_on_device(logits: Tensor, uniforms: Tensor, sampling: Sampling) -> Tensor:
    """Sample one token a row, as :func:`scoregate.token_sampling.sample_tokens` does.

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
