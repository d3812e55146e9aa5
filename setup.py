"""What pyproject.toml can't say: the engine's kernels, compiled where there is a compiler."""

import sys

from setuptools import Extension, setup

SOURCES = ("module", "avx512", "avx2", "portable")

kernels = Extension(
    "notagen._kernels",
    [f"notagen/csrc/{name}.c" for name in SOURCES],
    depends=[f"notagen/csrc/{name}" for name in ("arithmetic.inc", "kernels.h", "target.h")],
    # Apple's compiler has no OpenMP: one thread there.
    extra_compile_args=["-O3", "-Wno-psabi"] + ["-fopenmp"] * (sys.platform == "linux"),
    extra_link_args=["-lm"] + ["-fopenmp"] * (sys.platform == "linux"),
    # Without it the engine runs on PyTorch's operators, slower and as exact.
    optional=True,
)

setup(ext_modules=[kernels] if sys.platform != "win32" else [])
