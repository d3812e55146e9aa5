"""What an operator is told: metrics, alerts, the report of a night, the doctor."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from http.server import HTTPServer
from pathlib import Path
from threading import Thread
from types import SimpleNamespace

import pytest
from markdown_it import MarkdownIt
from prometheus_client.exposition import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from scoregate.archive.records import RoundRecord, RunRecord
from scoregate.archive.store import Archive
from scoregate.archive.trend import figures_of, trend
from scoregate.dashboard.markdown import (
    escaped,
    run_report,
    screening_report,
    verdict_table,
)
from scoregate.errors import RequestError
from scoregate.flows.operations import alerts, monitor
from scoregate.piece import piece_id


def run_record(run_id: str, passed: int, missing: int = 0, started: str = "") -> RunRecord:
    return RunRecord(
        run_id=run_id,
        started=started or f"2026-11-{run_id[6:8]}T02:00:00+00:00",
        finished=f"2026-11-{run_id[6:8]}T02:05:00+00:00",
        request={"style": "A/B/C", "count": 10, "rounds": 5},
        rounds=[RoundRecord(round=1, drawn=10, passed=passed, rejected=10 - passed)],
        missing=missing,
        seconds=300.0,
        stage_seconds={"generate": 200.0, "render": 90.0},
    )


def metrics_of(out: Path, inbox: Path | None = None) -> dict[tuple, float]:
    text = generate_latest(monitor.registry_of(out, inbox, lambda: None)).decode()
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_the_metrics_of_an_archive(tmp_path):
    store = Archive(tmp_path / "out")
    store.check_writable()
    for day in range(1, 9):
        store.write_run(run_record(f"202611{day:02}-020000-aaaaaa", passed=8))
    store.write_run(run_record("20261109-020000-aaaaaa", passed=1, missing=3))
    (tmp_path / "inbox").mkdir()
    waiting = tmp_path / "inbox" / "a.abc"
    waiting.write_text("X:1\nK:C\nCDEF|\n")
    os.utime(waiting, (time.time() - 3600, time.time() - 3600))
    found = metrics_of(store.out, tmp_path / "inbox")
    assert found["scoregate_archive_up",] == 1
    assert found["scoregate_prefect_up",] == 0
    assert found["scoregate_pass_rate",] == pytest.approx(0.1)
    assert found["scoregate_pass_rate_expected", "low"] > 0.1
    assert found["scoregate_alarm", "pass-rate-low"] == 1
    assert found["scoregate_alarm", "missing"] == 1
    assert found["scoregate_run_missing",] == 3
    assert found["scoregate_stage_seconds", "generate"] == 200
    day = 86400
    difference = found["scoregate_last_run_timestamp_seconds",] - found.get(
        ("scoregate_last_success_timestamp_seconds",), 0
    )
    assert difference >= day
    assert found["scoregate_inbox_files",] == 1
    assert found["scoregate_inbox_age_seconds",] == pytest.approx(3600, abs=60)


def test_the_metrics_of_a_folder_without_an_archive(tmp_path):
    found = metrics_of(tmp_path / "none")
    assert found["scoregate_archive_up",] == 1
    assert ("scoregate_pass_rate",) not in found


def test_metrics_are_read_on_loopback_only_or_with_a_token(tmp_path, monkeypatch):
    monkeypatch.delenv("SCOREGATE_TOKEN", raising=False)
    with pytest.raises(RequestError) as caught:
        monitor.serve(tmp_path, None, lambda: None, host="0.0.0.0", port=0, ready=print)
    assert "SCOREGATE_TOKEN" in caught.value.remedy

    def status(headers: dict[str, str], token: str) -> int:
        import http.client

        registry = monitor.registry_of(tmp_path, None, lambda: None)
        with HTTPServer(("127.0.0.1", 0), monitor._handler(registry, token)) as http_server:
            Thread(target=http_server.handle_request, daemon=True).start()
            connection = http.client.HTTPConnection("127.0.0.1", http_server.server_port)
            connection.request("GET", "/metrics", headers=headers)
            return connection.getresponse().status

    assert status({}, "") == 200
    assert status({"Host": "evil.example:9464"}, "") == 403
    assert status({}, "secret") == 401
    assert status({"Authorization": "Bearer wrong"}, "secret") == 401
    assert status({"Authorization": "Bearer secret"}, "secret") == 200


def test_a_webhook_that_is_no_address_is_refused_without_repeating_it():
    with pytest.raises(RequestError) as caught:
        alerts.check_webhook("hooks.example.org/services/SECRET")
    assert "SECRET" not in str(caught.value)


def test_the_report_of_a_night_tells_everything(tmp_path):
    earlier = [figures_of(run_record(f"202611{day:02}-020000-aaaaaa", 8)) for day in range(1, 7)]
    record = run_record("20261109-020000-aaaaaa", passed=1, missing=3)
    record.notes.append("A note.")
    found = trend(figures_of(record), earlier)
    text = run_report(record, tmp_path, found, "http://127.0.0.1:8765")
    for part in (
        "3 missing", "A note", "Alarm pass-rate-low", "after the last 6 runs", "| generate | 200.0",
        "| 20.000 |", "http://127.0.0.1:8765/runs/20261109-020000-aaaaaa", "report.html",
    ):  # fmt: skip
        assert part in text, part


def test_a_hostile_style_note_or_reason_stays_text_in_the_report(tmp_path):
    from scoregate.archive.records import PieceRow
    from scoregate.findings import Status

    hostile = "<img src=x onerror=alert(1)> [a](javascript:alert(1)) | `b` **c**\n# d"
    record = run_record("20261109-020000-aaaaaa", passed=1)
    record.request["style"] = hostile
    record.notes.append(hostile)
    record.pieces.append(
        PieceRow(piece_id=piece_id("x"), status=Status.REJECTED, reasons=[hostile], title=hostile)
    )
    text = run_report(record, tmp_path, trend(figures_of(record), []))
    page = MarkdownIt("commonmark", {"html": True}).enable("table").render(text)
    for made in ("<img", "<a href", "<strong>c", "<code>b", "<h1>d"):
        assert made not in page, made
    assert "&lt;img src=x" in page


HOSTILE = (
    "a\n\n<img src=x onerror=alert(1)> [b](javascript:alert(1)) "
    "![](https://e.org/x.png) `c` www.e.org"
)


def test_a_hostile_reason_stays_text_in_a_screening_and_in_the_table_of_verdicts():
    from scoregate.archive.records import PieceRow
    from scoregate.findings import Status

    screened = SimpleNamespace(
        judged=1, kept=0, counts={"rejected": 1}, reasons=[(HOSTILE, 1)], table="t", sheet="s"
    )
    record = run_record("20261109-020000-aaaaaa", passed=0)
    ordinary = "bars: Tenor, bar 3: 7/8 found, 3/4 expected (line 4, column 18)"
    record.pieces = [
        PieceRow(piece_id=piece_id("x"), status=Status.REJECTED, reasons=[reason])
        for reason in (HOSTILE, ordinary)
    ]
    hostile, plain = (row["why"] for row in verdict_table(record))
    assert plain == ordinary
    for text in (screening_report(screened), hostile):
        page = MarkdownIt("commonmark", {"html": True}).render(text)
        for made in ("<img", "<a href", "<p>&lt;"):
            assert made not in page, made
    # What GitHub's Markdown takes for an address is broken up, or code.
    assert "https\\://" in escaped(HOSTILE)
    assert "www\\.e" in escaped(HOSTILE)
    assert (hostile[0], hostile[-1], hostile.count("`")) == ("`", "`", 2)


@pytest.mark.slow
def test_the_doctor_names_what_is_missing_and_what_to_do(tmp_path):
    (tmp_path / "prefect.yaml").write_text(
        "deployments:\n- name: night\n  entrypoint: scoregate.flows.scheduled.nightly\n"
        "  parameters: {request: {weights: x}}\n"
    )
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = str(taken.getsockname()[1])
    done = subprocess.run(
        [sys.executable, "-m", "scoregate.flows.cli", "doctor", "--json"],
        cwd=tmp_path, capture_output=True, text=True, timeout=100,
        env=os.environ | {
            "PREFECT_HOME": str(tmp_path), "PREFECT_SERVER_API_PORT": port,
            "SCOREGATE_ABC2MIDI": "nowhere", "XDG_DATA_HOME": str(tmp_path),
            "SCOREGATE_WEIGHTS": str(tmp_path),
        },
    )  # fmt: skip
    assert done.returncode == 1, done.stderr
    found = {check["name"]: check for check in json.loads(done.stdout)}
    for name in ("server", "weights x", "abc2midi"):
        assert found[name]["level"] == "fault", found[name]
        assert found[name]["remedy"], found[name]
    assert found["weights"]["level"] == "ok"
