"""Run one production request as a process of its own: ``python -m scoregate.flows.run_job``.

The dashboard starts runs this way where no deployment takes them. The request is read from
standard input as JSON; standard output gets one JSON object a line:

- ``{"event": "progress", "what", "done", "total", "note"}`` while the run goes on,
- ``{"event": "done", "run_id", "missing"}`` at its end,
- ``{"event": "error", "problem", "remedy"}`` where it could not be run.

SIGINT ends the run in good order: pieces that are finished are judged and archived.
"""

from __future__ import annotations

import json
import sys
from typing import Any

from scoregate.errors import ScoregateError
from scoregate.progress import listening
from scoregate.requests import ProduceRequest, checked


def main() -> int:
    """Run the request on standard input; return the exit code."""
    from scoregate.flows.launch import check_request, prepare, run_flow

    try:
        request = checked(ProduceRequest, **json.load(sys.stdin))
        prepare(verbose=False)
        with listening(_progress):
            record = run_flow("scoregate.flows.produce:produce", request=check_request(request))
    except ScoregateError as error:
        _say(event="error", problem=error.problem, remedy=error.remedy)
        return 2
    except KeyboardInterrupt:
        _say(event="error", problem="The run was stopped before its first piece.", remedy="")
        return 130
    _say(event="done", run_id=record.run_id, missing=record.missing)
    return 0


def _progress(what: str, done: float, total: float | None, note: str) -> None:
    _say(event="progress", what=what, done=done, total=total, note=note)


def _say(**values: Any) -> None:
    print(json.dumps(values), flush=True)


if __name__ == "__main__":
    sys.exit(main())
