"""The process that converts and engraves: ``python -m scoregate.render.worker``.

It reads one JSON object per line, ``{"texts", "bars", "marks", "max_pages", "limit_s"}``, makes
every isolated artefact of the table, and answers with lines of its own: one for each artefact,
``{"artefact", "files"}``, then ``{"done", "notes", "bars"}``. A hang, a crash or a lack of memory
ends this process alone; :mod:`scoregate.render.pool` then starts another.
"""

from __future__ import annotations

import base64
import json
import os
import resource
import signal
import sys
from collections.abc import Iterator
from typing import Any, TextIO

from scoregate.render.artefacts import Material
from scoregate.render.marks import Mark
from scoregate.render.steps import isolated, make_all

MEMORY_BYTES = 3 << 30
CLOCK_FACTOR = 8
"""How many times its limit of processor time a piece may take by the clock."""


def serve(requests: TextIO, answers: TextIO) -> None:
    """Answer requests until there are no more."""
    for line in requests:
        request = json.loads(line)
        # Both signals end the process. The limit is on processor time, so that a busy machine
        # costs no piece its engraving; the alarm ends a hang that uses no processor time.
        signal.setitimer(signal.ITIMER_PROF, request["limit_s"])
        signal.alarm(int(request["limit_s"] * CLOCK_FACTOR) + 5)
        for answer in _answers(request):
            answers.write(json.dumps(answer) + "\n")
            answers.flush()
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.alarm(0)


def _answers(request: dict[str, Any]) -> Iterator[dict[str, Any]]:
    material = Material(
        texts=request["texts"],
        bars=request["bars"],
        marks=[Mark(**mark) for mark in request["marks"]],
        max_pages=request["max_pages"],
    )
    for artefact, files in make_all(isolated(), material):
        yield {
            "artefact": artefact.name,
            "files": {
                name: base64.b64encode(content).decode() if artefact.binary else content.decode()
                for name, content in files.items()
            },
        }
    yield {"done": True, "notes": material.remarks, "bars": material.bars_engraved}


def main() -> None:
    """Serve standard input; whatever libraries print goes to standard error."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    serve(sys.stdin, answers)


if __name__ == "__main__":
    main()
