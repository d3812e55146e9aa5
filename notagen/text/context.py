"""What of a piece stays before the model's eyes when its context is full.

As in NotaGen, prompt and header stay and the newer half of the body lines, written into
patches anew. What the released code loses here is kept: a line that ends on a barline, the
newest text where half of the lines is still too long, and a line longer than the context.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from scoregate.notagen.text.patches import Patch, encode_open, units_of_line

# Empty lines too, so that the kept lines are the body's end to the character.
_LINES = re.compile(r"[^\n]*\n|[^\n]+")


@dataclass(frozen=True, slots=True)
class Cut:
    """A context that has been cut.

    Parameters
    ----------
    patches : list of tuple of int
        Full patches, BOS_PATCH first.
    start : tuple of int
        0 to 15 codes of the patch that is to be finished.
    body : str
        The body's newest part, which the patches hold.
    """

    patches: list[Patch]
    start: Patch
    body: str


def cut_context(head: str, body: str, length: int) -> Cut | None:
    """Keep prompt, header and the newer half of the body lines.

    Parameters
    ----------
    head, body : str
        Prompt and header; the body as far as the context holds it.
    length : int
        Patches that the model can attend to; the cut context is shorter.

    Returns
    -------
    Cut or None
        None where nothing of the body fits beside the header.
    """
    lines = _LINES.findall(body)
    for count in range(len(lines) // 2, 0, -1):
        cut = _encode(head, "".join(lines[-count:]))
        if len(cut.patches) < length:
            return cut
    # One line alone fills the context: keep the newest voices' bars of it.
    units = [unit for line in lines for unit in units_of_line(line)]
    for room in (length // 2, length - 1):
        for count in range(len(units) - 1, 0, -1):
            cut = _encode(head, "".join(units[-count:]))
            if len(cut.patches) <= room:
                return cut
    return None


def _encode(head: str, body: str) -> Cut:
    patches, start = encode_open(head, body)
    return Cut(patches, start, body)
