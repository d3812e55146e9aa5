"""A process that generates pieces: ``python -m scoregate.generation.writer_process``.

:mod:`scoregate.generation.writers` starts it and speaks to it in JSON lines. The first line it
reads is ``{"request"}``. It loads the weights and answers ``{"ready": {"styles", "provenance"}}``.
Each further line, ``{"seeds"}``, is answered by any number of ``{"progress"}`` and one ``{"pieces",
"stopped"}``. ``{"error": {"kind", "problem", "remedy", "trace"}}`` may stand in place of an answer.

SIGINT and SIGTERM end the generation under way: the pieces are sent as far as they are. The process
ends when its standard input is closed, or when the process that started it is gone.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
import traceback
from dataclasses import fields
from typing import Any

from scoregate.errors import ScoregateError
from scoregate.generation.drafts import assessed
from scoregate.generation.writing import generator_of, write_pieces
from scoregate.generator import Progress
from scoregate.requests import ProduceRequest

PROGRESS_SECONDS = 0.5


class _Interruption:
    """Turns a signal into a KeyboardInterrupt, during generation only.

    Attributes
    ----------
    generating : bool
    asked : bool
        Whether a signal came.
    """

    def __init__(self) -> None:
        self.generating = self.asked = False
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._handle)

    def _handle(self, *_: object) -> None:
        self.asked = True
        if self.generating:
            self.generating = False
            raise KeyboardInterrupt


class _Answers:
    """Sends answers, and progress now and then."""

    def __init__(self) -> None:
        # Whatever libraries print goes to standard error.
        self._file = os.fdopen(os.dup(1), "w", encoding="utf-8")
        os.dup2(2, 1)
        self._told = 0.0

    def send(self, **answer: Any) -> None:
        self._file.write(json.dumps(answer) + "\n")
        self._file.flush()

    def progress(self, progress: Progress) -> None:
        if time.monotonic() - self._told < PROGRESS_SECONDS:
            return
        self._told = time.monotonic()
        values = {each.name: getattr(progress, each.name) for each in fields(progress)}
        self.send(progress={**values, "pieces": {}})

    def error(self, error: Exception) -> None:
        told = isinstance(error, ScoregateError)
        self.send(
            error={
                "kind": type(error).__name__,
                "problem": error.problem if told else str(error),
                "remedy": error.remedy if told else "",
                "trace": "" if told else traceback.format_exc(),
            }
        )


def main() -> None:
    """Serve standard input."""
    threading.Thread(target=_end_with, args=(os.getppid(),), daemon=True).start()
    interruption, answers = _Interruption(), _Answers()
    request = ProduceRequest.model_validate(json.loads(sys.stdin.readline())["request"])
    try:
        generator = generator_of(request)
    except Exception as error:  # Told to the process that asked, whatever it is.
        answers.error(error)
        return
    trained = None if generator.styles is None else [str(each) for each in generator.styles]
    answers.send(
        ready={
            "styles": trained,
            "provenance": generator.provenance().as_dict(),
        }
    )
    for line in sys.stdin:
        job = json.loads(line)
        request = ProduceRequest.model_validate(job["request"])
        try:
            pieces, stopped = [], True
            interruption.generating = True
            began = time.process_time()
            if not interruption.asked:
                pieces, stopped = write_pieces(request, job["seeds"], answers.progress)
            interruption.generating = False
            if request.quality == "best":  # What is written by now is assessed, whatever comes.
                pieces = assessed(request, pieces, time.process_time() - began)
        except KeyboardInterrupt:
            stopped = True
        except Exception as error:  # As above.
            answers.error(error)
            continue
        finally:
            interruption.generating = False
        answers.send(
            pieces=[{**piece.as_dict(), "raw": piece.raw} for piece in pieces], stopped=stopped
        )


def _end_with(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(1)
    os._exit(1)


if __name__ == "__main__":
    main()
