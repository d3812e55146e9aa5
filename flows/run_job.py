"""Run one production request as a process of its own: ``python -m scoregate.flows.run_job``.

The dashboard starts runs this way where no deployment takes them. The request is read from
standard input as JSON; standard output gets one JSON object a line:

- ``{"event": "progress", "what", "done", "total", "note"}`` while the run goes on,
- ``{"event": "note", "text"}`` for what the person who waits should know,
- ``{"event": "done", "run_id", "missing"}`` at its end,
- ``{"event": "error", "problem", "remedy", "kind"}`` where it could not be run.

With ``--with-parent`` it ends when the process that started it is gone.

SIGINT ends the run in good order: pieces that are finished are judged and archived. SIGTERM ends
it within seconds, and the next run of the same request goes on where it was.
"""

from __future__ import annotations

import json
import sys
from typing import Any

from scoregate import errors
from scoregate.errors import RunError, ScoregateError, ToolError
from scoregate.flows.termination import (
    EXIT_CTRL_C,
    EXIT_SIGTERM,
    Terminated,
    sigterm_raises,
    terminate_with_parent,
)
from scoregate.progress import hearing, listening
from scoregate.requests import ProduceRequest, checked


def main() -> int:
    """Run the request on standard input; return the exit code."""
    from scoregate.flows.launch import check_request, prepare, run_flow

    if "--with-parent" in sys.argv[1:]:
        terminate_with_parent()
    try:
        request = checked(ProduceRequest, **json.load(sys.stdin))
        prepare(verbose=False)
        with listening(_progress), hearing(_note), sigterm_raises():
            record = run_flow("scoregate.flows.produce:produce", request=check_request(request))
    except ScoregateError as error:
        kind = type(error).__name__
        _say(event="error", problem=error.problem, remedy=error.remedy, kind=kind)
        return error.exit_code
    except KeyboardInterrupt:
        _say(event="error", problem="The run was stopped before its first piece.", remedy="")
        return EXIT_CTRL_C
    except Terminated:
        _say(event="error", problem="The run was stopped.", remedy="The same request goes on.")
        return EXIT_SIGTERM
    _say(event="done", run_id=record.run_id, missing=record.missing)
    return 0


def read_outcome(line: str, code: int) -> str:
    """Return the id of the run, by the last line that the process printed.

    Parameters
    ----------
    line : str
    code : int
        Exit code of the process.

    Raises
    ------
    ScoregateError
        What the process reported; ToolError where it ended without a word.
    """
    try:
        event = json.loads(line)
    except ValueError:
        event = {}
    if event.get("event") == "done":
        return event["run_id"]
    if event.get("event") == "error":
        kind = getattr(errors, event.get("kind", ""), RunError)
        raise kind(event["problem"], event["remedy"])
    raise ToolError(
        f"The process of a run ended with status {code} and without a word.",
        "Too little memory is the usual reason. The same command goes on from there.",
    )


def _progress(what: str, done: float, total: float | None, note: str) -> None:
    _say(event="progress", what=what, done=done, total=total, note=note)


def _note(sentence: str) -> None:
    _say(event="note", text=sentence)


def _say(**values: Any) -> None:
    print(json.dumps(values), flush=True)


if __name__ == "__main__":
    from scoregate.flows.launch import leave

    leave(main())
