"""The worker ends at its first SIGTERM, also where Prefect loses the cancellation."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys

import pytest

from scoregate.flows.operations import worker_process

FORGETFUL = """
import asyncio, sys
from scoregate.flows.operations import worker_process

class Worker:
    '''Loses the first cancellations, as Prefect's worker does within moments of a run's end.'''

    lost = {lost}

    async def get_and_submit_flow_runs(self):
        return []

    async def start(self, printer):
        printer("started")
        while True:
            try:
                await asyncio.sleep(0.1)
            except asyncio.CancelledError:
                if not self.lost:
                    raise
                self.lost -= 1
            {look}

asyncio.run(worker_process.run_until_told(Worker()))
print("ended in good order", flush=True)
"""
LOOKS = "await self.get_and_submit_flow_runs()"


def run(script: str, *signals: int) -> tuple[int, str]:
    """Start a program, send it signals once it has started, and return code and output."""
    command = [sys.executable, "-c", script]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout.readline() == "started\n"
            for number in signals:
                process.send_signal(number)
                process.stdout.readline()  # It says that it ends.
            said = process.stdout.read()
            return process.wait(20), said
        finally:
            process.kill()


@pytest.mark.slow
@pytest.mark.parametrize("lost", [0, 1])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_first_signal_ends_it_in_good_order(lost, number):
    code, said = run(FORGETFUL.format(lost=lost, look=LOOKS), number)
    assert (code, said) == (0, "ended in good order\n")


@pytest.mark.slow
def test_a_second_signal_ends_it_at_once():
    code, _ = run(FORGETFUL.format(lost=9, look="pass"), signal.SIGTERM, signal.SIGTERM)
    assert code == -signal.SIGKILL


@pytest.mark.parametrize("fault", [RuntimeError("x"), ExceptionGroup("g", [RuntimeError("x")])])
def test_a_fault_of_the_worker_is_not_hidden(fault):
    class Broken:
        async def get_and_submit_flow_runs(self):
            return []

        async def start(self, printer):
            raise fault

    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        with pytest.raises(type(fault)):
            asyncio.run(worker_process.run_until_told(Broken()))
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@pytest.mark.slow
@pytest.mark.server
def test_a_real_worker_ends_within_seconds_of_its_first_signal(prefect_server, tmp_path):
    log = tmp_path / "log"
    with open(log, "wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "scoregate.flows.cli", "worker", "--name", "told"],
            env=os.environ | {"PREFECT_API_URL": prefect_server.url},
            stdout=output,
            stderr=output,
            cwd=tmp_path,
        )
    try:
        for _ in range(600):
            if "started!" in log.read_text():
                break
            assert process.poll() is None, log.read_text()
            asyncio.run(asyncio.sleep(0.2))
        process.terminate()
        assert process.wait(60) == 0, log.read_text()
        assert "Received SIGTERM; the worker ends." in log.read_text()
        assert "Traceback" not in log.read_text()
    finally:
        process.kill()
        process.wait()
