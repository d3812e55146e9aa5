"""What computes: the compiled kernels, PyTorch's operators, accelerators; one protocol."""

from scoregate.notagen.backends.backend import Backend, NotFiniteError
from scoregate.notagen.backends.selection import (
    KERNELS_VARIABLE,
    cpu_backend,
    make_backend,
    selected_kernels,
)

__all__ = [
    "KERNELS_VARIABLE",
    "Backend",
    "NotFiniteError",
    "cpu_backend",
    "make_backend",
    "selected_kernels",
]
