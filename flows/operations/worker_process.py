"""Prefect's worker for processes, which ends at its first SIGTERM.

`prefect worker start` answers SIGTERM by cancelling its main task, once. Where the signal comes
within moments of a run's end, Prefect 3.8.8 sometimes loses that cancellation and goes on. This
worker also notes that it was told to end, and looks at that note whenever it asks for runs, which
it does every ten seconds (``PREFECT_WORKER_QUERY_SECONDS``).
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import signal
from threading import Thread

from prefect.client.schemas.objects import FlowRun
from prefect.settings import PREFECT_WORKER_HEARTBEAT_SECONDS
from prefect.workers.process import ProcessWorker

from scoregate.errors import ScoregateError
from scoregate.flows import zombies
from scoregate.flows.operations import supervisor

_log = logging.getLogger("prefect.scoregate")


class ToldToEnd(Exception):
    """The worker was told to end, and its main task did not notice."""


async def run_until_told(worker: ProcessWorker) -> None:
    """Run a worker until SIGTERM or Ctrl-C; a second one ends the process at once.

    Parameters
    ----------
    worker : ProcessWorker
        Not started yet.
    """
    told = False
    look_for_runs = worker.get_and_submit_flow_runs

    async def look_unless_told() -> list[FlowRun]:
        if told:
            raise ToldToEnd
        return await look_for_runs()

    worker.get_and_submit_flow_runs = look_unless_told
    main = asyncio.create_task(worker.start(printer=_say))

    def end(number: signal.Signals) -> None:
        nonlocal told
        if told:
            os.kill(os.getpid(), signal.SIGKILL)
        _say(f"Received {number.name}; the worker ends.")
        told = True
        main.cancel()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, end, number)
    try:
        await main
    except asyncio.CancelledError:
        pass
    except BaseExceptionGroup as error:
        if error.split((ToldToEnd, asyncio.CancelledError))[1] is not None:
            raise
    except ToldToEnd:
        pass


def watch_silent_runs(url: str) -> None:
    """Mark runs whose process is gone as Crashed, and say which; it takes a minute and more."""
    try:
        with supervisor.connected(url) as client:
            for run in zombies.crash_silent_runs(client):
                _say(f"{run}: marked Crashed, since its process is gone.")
    except ScoregateError as error:
        _log.warning("%s", error)
    except Exception as error:
        # The server is gone: the worker itself says so, and its next start looks again.
        _log.warning("Runs whose process is gone were not looked for: %s", error)


def main() -> None:
    """Run the worker of a pool."""
    parser = argparse.ArgumentParser(description="Run the worker of a pool.")
    parser.add_argument("--pool", required=True)
    parser.add_argument("--limit", type=int)
    parser.add_argument("--name")
    options = parser.parse_args()
    Thread(target=watch_silent_runs, args=(os.environ["PREFECT_API_URL"],), daemon=True).start()
    worker = ProcessWorker(
        work_pool_name=options.pool,
        name=options.name,
        limit=options.limit,
        heartbeat_interval_seconds=int(PREFECT_WORKER_HEARTBEAT_SECONDS.value()),
    )
    asyncio.run(run_until_told(worker))
    # The thread that watches may sleep; Prefect's own threads have sent what they had.
    logging.shutdown()


def _say(line: str) -> None:
    print(line, flush=True)


if __name__ == "__main__":
    main()
