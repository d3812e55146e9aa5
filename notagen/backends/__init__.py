"""The engine's arithmetic: compiled kernels, PyTorch's operators, accelerators."""
