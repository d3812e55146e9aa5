"""Voices that only rest, which NotaGen's text leaves out of a line.

:func:`scoregate.abc.finish.finish` fills them in again.
"""

from __future__ import annotations

import re

_VOICE_BAR = re.compile(r"\[V:[^\]]*\](?:\"[^\"]*\"|\[[^\]|]*\]|[^|:\[\]\"])*[|:\[\]]+(?=\[V:|$)")
_RESTING = re.compile(r"\[V:[^\]]*\](?:[zZx]\d*/*\d*\s*)+(?=[|:\[\]]+$)")


def leave_out_rests(line: str) -> str:
    """Return a body line without the voices that only rest; all stay where all rest.

    Examples
    --------
    >>> leave_out_rests("[V:1]C8|[V:2]z8|")
    '[V:1]C8|'
    """
    bars = _VOICE_BAR.findall(line)
    if "".join(bars) != line:
        return line
    kept = [bar for bar in bars if not _RESTING.match(bar)]
    return "".join(kept) if kept else line
