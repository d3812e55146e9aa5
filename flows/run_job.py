"""Run one production request as a process of its own: ``python -m scoregate.flows.run_job``.

The dashboard starts runs this way where no deployment takes them. The request is read from
standard input as JSON; standard output gets one JSON object a line:

- ``{"event": "progress", "what", "done", "total", "note"}`` while the run goes on,
- ``{"event": "note", "text"}`` for what the person who waits should know,
- ``{"event": "done", "run_id", "missing"}`` at its end,
- ``{"event": "error", "problem", "remedy"}`` where it could not be run.

SIGINT ends the run in good order: pieces that are finished are judged and archived. SIGTERM ends
it within seconds, and the next run of the same request goes on where it was.
"""

from __future__ import annotations

import json
import sys
from typing import Any

from scoregate.errors import ScoregateError
from scoregate.flows.termination import EXIT_CTRL_C, EXIT_SIGTERM, Terminated, sigterm_raises
from scoregate.progress import hearing, listening
from scoregate.requests import ProduceRequest, checked


def main() -> int:
    """Run the request on standard input; return the exit code."""
    from scoregate.flows.launch import check_request, prepare, run_flow

    try:
        request = checked(ProduceRequest, **json.load(sys.stdin))
        prepare(verbose=False)
        with listening(_progress), hearing(_note), sigterm_raises():
            record = run_flow("scoregate.flows.produce:produce", request=check_request(request))
    except ScoregateError as error:
        _say(event="error", problem=error.problem, remedy=error.remedy)
        return error.exit_code
    except KeyboardInterrupt:
        _say(event="error", problem="The run was stopped before its first piece.", remedy="")
        return EXIT_CTRL_C
    except Terminated:
        _say(event="error", problem="The run was stopped.", remedy="The same request goes on.")
        return EXIT_SIGTERM
    _say(event="done", run_id=record.run_id, missing=record.missing)
    return 0


def _progress(what: str, done: float, total: float | None, note: str) -> None:
    _say(event="progress", what=what, done=done, total=total, note=note)


def _note(sentence: str) -> None:
    _say(event="note", text=sentence)


def _say(**values: Any) -> None:
    print(json.dumps(values), flush=True)


if __name__ == "__main__":
    from scoregate.flows.launch import leave

    leave(main())
