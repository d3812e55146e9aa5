"""Cutting a full context: what of a piece the model goes on with.

As in NotaGen, the prompt, the header and the newer half of the body lines stay, and are encoded
into patches again. Three things that the released code loses are not lost here: a line that ends
on a barline, the newest text where half of the lines is still too long, and a line longer than
the context.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from scoregate.notagen.text.patches import Patch, encode_open, units_of_line

# Empty lines too, so that the remaining lines are exactly the end of the body.
_LINES = re.compile(r"[^\n]*\n|[^\n]+")


@dataclass(frozen=True, slots=True)
class Cut:
    """A context that has been cut.

    Parameters
    ----------
    patches : list of tuple of int
        Full patches, BOS_PATCH first.
    start : tuple of int
        0 to 15 tokens of the patch that the model has to complete.
    body : str
        The newest part of the body, which the patches hold.
    """

    patches: list[Patch]
    start: Patch
    body: str


def cut_context(head: str, body: str, context: int) -> Cut | None:
    """Keep prompt, header and the newer half of the body lines.

    Parameters
    ----------
    head, body : str
        Prompt and header; the part of the body that the context holds.
    context : int
        Patches that the model can attend to; the cut context is shorter.

    Returns
    -------
    Cut or None
        None where nothing of the body fits after the header.
    """
    lines = _LINES.findall(body)
    for count in range(len(lines) // 2, 0, -1):
        cut = _encode(head, "".join(lines[-count:]))
        if len(cut.patches) < context:
            return cut
    # One line alone fills the context: take the bars of its last voices.
    units = [unit for line in lines for unit in units_of_line(line)]
    for room in (context // 2, context - 1):
        for count in range(len(units) - 1, 0, -1):
            cut = _encode(head, "".join(units[-count:]))
            if len(cut.patches) <= room:
                return cut
    return None


def _encode(head: str, body: str) -> Cut:
    patches, start = encode_open(head, body)
    return Cut(patches, start, body)
