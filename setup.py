"""What pyproject.toml can't say: what is compiled where there is a compiler."""

import sys

from setuptools import Extension, setup

SOURCES = ("module", "team", "avx512", "avx2", "portable")
HEADERS = (
    *("arithmetic.inc", "vectors.inc", "linear.inc", "attention.inc", "stack.inc"),
    *("kernels.h", "target.h", "team.h"),
)

kernels = Extension(
    "scoregate.notagen._kernels",
    [f"notagen/csrc/{name}.c" for name in SOURCES],
    depends=[f"notagen/csrc/{name}" for name in HEADERS],
    extra_compile_args=["-O3", "-Wno-psabi", "-pthread"],
    extra_link_args=["-lm", "-pthread"],
    # Without it the engine runs on PyTorch's operators, slower and as exact.
    optional=True,
)

LOOPS = ("module", "read_notes", "collect", "spread", "numbers")

loops = Extension(
    "scoregate._loops",
    [f"scoregate/csrc/{name}.c" for name in LOOPS],
    depends=["scoregate/csrc/loops.h"],
    # Python rounds every product; fused operations would not.
    extra_compile_args=["-O3", "-ffp-contract=off"],
    # Without it the reader and the gates run the same loops in Python.
    optional=True,
)

setup(ext_modules=[kernels, loops] if sys.platform != "win32" else [])
