"""Lines of JSON in the log."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys

import pytest

from scoregate.logs import JsonLines


def test_a_record_becomes_a_line_of_json_with_the_ids_of_its_run():
    record = logging.makeLogRecord(
        {"name": "prefect.task_runs", "levelname": "INFO", "msg": "Round %d\nwas fine",
         "args": (1,), "flow_run_id": "f", "flow_run_name": "4 x A", "task_run_name": "judge-1",
         "run_id": "20261121-020000-aaaaaa", "piece_id": "ab12"}
    )  # fmt: skip
    line = JsonLines().format(record)
    assert "\n" not in line
    found = json.loads(line)
    assert found.pop("time").endswith("+00:00")
    assert found == {
        "level": "INFO", "logger": "prefect.task_runs", "message": "Round 1\nwas fine",
        "flow_run_id": "f", "flow_run": "4 x A", "task_run": "judge-1",
        "run_id": "20261121-020000-aaaaaa", "piece_id": "ab12",
    }  # fmt: skip


def test_an_exception_stands_in_the_line():
    try:
        raise ValueError("broken")
    except ValueError:
        record = logging.LogRecord("x", logging.ERROR, "f", 1, "failed", (), sys.exc_info())
    assert "ValueError: broken" in json.loads(JsonLines().format(record))["exception"]


@pytest.mark.slow
def test_prefect_logs_in_json_where_it_is_asked_for():
    code = (
        "from scoregate.flows.server import apply_settings; apply_settings();"
        "from prefect.logging.configuration import setup_logging; setup_logging();"
        "from prefect.logging import get_logger; get_logger('flow_runs').warning('hello');"
        "import logging; logging.getLogger('scoregate.pieces').info('a piece')"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60,
        env=os.environ | {"SCOREGATE_LOG": "json", "PREFECT_LOGGING_LEVEL": "INFO",
                          "PREFECT_LOGGING_TO_API_WHEN_MISSING_FLOW": "ignore"},
    )  # fmt: skip
    lines = [json.loads(line) for line in done.stderr.splitlines()]
    assert [line["message"] for line in lines] == ["hello", "a piece"]
