"""The plan of deployments: read, checked, refused before anything starts."""

from __future__ import annotations

import json
import socket
from datetime import timedelta
from pathlib import Path

import pytest
from commands import scoregate_here

from scoregate.errors import RequestError, ServerError
from scoregate.flows import server
from scoregate.flows.operations import plan, supervisor

ROOT = Path(__file__).resolve().parent.parent


def plan_file(folder: Path, **schedule: str) -> Path:
    path = folder / "prefect.yaml"
    path.write_text(
        "deployments:\n- name: night\n  entrypoint: scoregate.flows.scheduled.nightly\n"
        "  parameters: {request: {out: tonight}}\n  schedules:\n  - "
        + json.dumps({"cron": "0 2 * * *", "timezone": "Europe/Berlin"} | schedule)
        + "\n"
    )
    return path


@pytest.mark.slow
def test_the_schedules_of_the_packaged_plan_are_valid():
    planned = {each.name: each for each in plan.read_plan(plan.PACKAGED)}
    scheduled = {name for name, each in planned.items() if each.crons}
    assert scheduled == {
        "nightly-production", "weekly-sweep", "screen-inbox", "verify-archive", "backup"
    }  # fmt: skip
    assert planned["nightly-production"].longest_gap() == timedelta(days=1)
    assert planned["screen-inbox"].longest_gap() == timedelta(minutes=15)
    assert plan.folders(list(planned.values())) == ("out", "inbox")


@pytest.mark.slow
def test_every_deployment_has_pool_limit_policy_heartbeat_and_a_limit_on_time():
    import importlib

    import yaml

    for entry in yaml.safe_load(plan.PACKAGED.read_text())["deployments"]:
        module, _, name = entry["entrypoint"].rpartition(".")
        flow = getattr(importlib.import_module(module), name)
        assert flow.timeout_seconds, entry["name"]
        assert entry["work_pool"]["name"] == plan.POOL
        environment = entry["work_pool"]["job_variables"]["env"]
        assert environment == {"PREFECT_FLOWS_HEARTBEAT_FREQUENCY": "30"}
        assert "heartbeat" in entry["tags"]
        flow.validate_parameters(entry["parameters"])
        if entry.get("schedules"):
            limit = entry["concurrency_limit"]
            assert limit == {"limit": 1, "collision_strategy": "CANCEL_NEW"}


def test_the_plan_at_the_top_of_the_repository_is_the_packaged_one():
    assert (ROOT / "prefect.yaml").read_text() == plan.PACKAGED.read_text()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("schedule", "said"),
    [
        ({"timezone": "Europe/Atlantis"}, "night has the time zone 'Europe/Atlantis'"),
        ({"timezone": "../../etc/passwd"}, "which is not known"),
        ({"cron": "0 26 * * *"}, "night has the cron line '0 26"),
        ({"cron": "every night"}, "which is not valid"),
    ],
)
def test_a_schedule_that_cannot_be_is_named(schedule, said, tmp_path):
    with pytest.raises(RequestError, match=said):
        plan.read_plan(plan_file(tmp_path, **schedule))


@pytest.mark.parametrize("content", ["", "deployments: 7", "deployments: [{}]", "a: [", "- 1"])
def test_a_plan_that_is_none_is_named(content, tmp_path):
    path = tmp_path / "prefect.yaml"
    path.write_text(content)
    with pytest.raises(RequestError, match="is no list of deployments"):
        plan.read_plan(path)


@pytest.mark.slow
def test_up_refuses_an_unknown_time_zone_before_anything_starts(tmp_path, monkeypatch):
    plan_file(tmp_path, timezone="Europe/Atlantis")
    monkeypatch.chdir(tmp_path)
    done = scoregate_here("up", PREFECT_HOME=str(tmp_path / "home"))
    assert done.returncode == 2
    assert "Europe/Atlantis" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "home" / "scoregate-server.json").exists()


def test_up_names_a_port_that_is_taken_before_anything_starts(tmp_path, monkeypatch):
    monkeypatch.setenv("PREFECT_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(server, "ensure_server", lambda say: pytest.fail("a server was started"))
    (tmp_path / "prefect.yaml").write_text("deployments: []\n")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        wanted = supervisor.Wanted(tmp_path, dashboard_port=taken.getsockname()[1])
        with pytest.raises(ServerError, match="on which the dashboard would listen") as caught:
            supervisor.up(wanted, print)
    assert "--dashboard-port" in caught.value.remedy
