"""The process that converts and engraves: ``python -m scoregate.render.worker``.

It reads one JSON object a line, ``{"texts", "bars", "marks", "max_pages", "limit_s"}``, and answers
each with lines of its own: the files as they come, then the notes. Of several texts of a
piece the one that gives as many bars as the gate counted is taken. What happens to it
(a hang, a crash, too much memory) happens to it alone; :mod:`scoregate.render.pool` starts another.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import sys
from typing import Any, TextIO

from scoregate.errors import ToolError
from scoregate.render.engrave import NotEngravable, engrave
from scoregate.render.marks import Mark
from scoregate.render.musicxml import NotConvertible, to_musicxml

MEMORY_BYTES = 3 << 30
WAIT = 8
"""How many times its processor time a piece may take by the clock."""


def serve(requests: TextIO, answers: TextIO) -> None:
    """Answer requests until there are no more."""
    for line in requests:
        request = json.loads(line)
        # Both signals end the process. Time is processor time, so that a busy machine costs
        # no piece its picture; the clock is there for a hang that does nothing.
        signal.setitimer(signal.ITIMER_PROF, request["limit_s"])
        signal.alarm(int(request["limit_s"] * WAIT) + 5)
        for answer in _answers(request):
            answers.write(json.dumps(answer) + "\n")
            answers.flush()
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.alarm(0)


def _answers(request: dict[str, Any]) -> Any:
    musicxml, reason = _converted(request["texts"], request["bars"])
    if not musicxml:
        yield {"done": True, "notes": [f"no MusicXML and no engraving: {reason}"]}
        return
    yield {"name": "score.musicxml", "content": musicxml.decode()}
    marks = [Mark(**mark) for mark in request["marks"]]
    try:
        engraving = engrave(musicxml, marks, request["max_pages"])
    except NotEngravable as error:
        yield {"done": True, "notes": [f"no engraving: {error}"]}
        return
    except Exception as error:  # Told in the piece's notes: no other piece is touched.
        yield {"done": True, "notes": [f"no engraving: {type(error).__name__}: {error}"]}
        return
    for number, page in enumerate(engraving.pages, 1):
        yield {"name": f"score-{number}.svg", "content": page}
    notes = []
    if engraving.page_count > len(engraving.pages):
        notes.append(
            f"{len(engraving.pages)} of {engraving.page_count} pages engraved: "
            "the rest is in the MusicXML"
        )
    yield {"done": True, "notes": notes, "bars": engraving.bars}


def _converted(texts: list[str], bars: int) -> tuple[bytes, str]:
    """Return the MusicXML of the first text that gives every part as many bars as there are.

    Where none does the first that can be converted counts; where none can be, the reason.
    """
    reason, found = "the text is empty", b""
    for text in texts:
        try:
            musicxml = to_musicxml(text)
        except (NotConvertible, ToolError) as error:
            reason = str(error)
        except (RecursionError, MemoryError) as error:
            reason = type(error).__name__
        else:
            parts = musicxml.split(b"<part id=")[1:]
            if not bars or all(part.count(b"<measure ") == bars for part in parts):
                return musicxml, ""
            found = found or musicxml
    return found, reason


def main() -> None:
    """Serve standard input; whatever libraries print goes to standard error."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    serve(sys.stdin, answers)


if __name__ == "__main__":
    main()
