"""NotaGen's weights: which there are, where they lie, how files are read and converted.

Importing this package imports no torch.
"""

from scoregate.notagen.weights.checkpoint import Checkpoint, open_checkpoint
from scoregate.notagen.weights.hub import check, convert, get, list_weights
from scoregate.notagen.weights.registry import (
    EMBEDDED,
    RELEASES,
    Release,
    data_folder,
    find,
    name_of,
    release,
    styles_of,
    trained_styles,
    weights_for,
)
from scoregate.notagen.weights.safetensors import write_safetensors

__all__ = [
    "EMBEDDED",
    "RELEASES",
    "Checkpoint",
    "Release",
    "check",
    "convert",
    "data_folder",
    "find",
    "get",
    "list_weights",
    "name_of",
    "open_checkpoint",
    "release",
    "styles_of",
    "trained_styles",
    "weights_for",
    "write_safetensors",
]
