"""NotaGen's text: patches, prompts, forced headers, and the context that the model sees."""

from scoregate.notagen.text.continuation import score_prefix
from scoregate.notagen.text.forced import ForcedText, read_forced_text
from scoregate.notagen.text.patches import Patch, decode, encode
from scoregate.notagen.text.rests import leave_out_rests
from scoregate.notagen.text.styles import NOTAGEN_X, PROMPT_END

__all__ = [
    "NOTAGEN_X",
    "PROMPT_END",
    "ForcedText",
    "Patch",
    "decode",
    "encode",
    "leave_out_rests",
    "read_forced_text",
    "score_prefix",
]
