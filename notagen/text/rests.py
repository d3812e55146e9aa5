"""Voices that rest: NotaGen's own form leaves them out of a body line."""

from __future__ import annotations

import re

_VOICE_BAR = re.compile(r"\[V:[^\]]*\](?:\"[^\"]*\"|\[[^\]|]*\]|[^|:\[\]\"])*[|:\[\]]+(?=\[V:|$)")
_RESTING = re.compile(r"\[V:[^\]]*\](?:[zZx]\d*/*\d*\s*)+(?=[|:\[\]]+$)")


def leave_out_rests(line: str) -> str:
    """Return a body line without the voices that only rest.

    All voices stay where all of them rest, and where the line is not made of voices' bars.

    Examples
    --------
    >>> leave_out_rests("[V:1]C8|[V:2]z8|")
    '[V:1]C8|'
    >>> leave_out_rests("[V:1]z8|[V:2]z8|")
    '[V:1]z8|[V:2]z8|'
    """
    bars = _VOICE_BAR.findall(line)
    if "".join(bars) != line:
        return line
    sounding = [bar for bar in bars if not _RESTING.match(bar)]
    return "".join(sounding) if sounding else line
