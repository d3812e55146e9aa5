"""deploy/: units, containers, alerts and board name commands, files and metrics that exist."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from scoregate.archive import postgres

ROOT = Path(__file__).resolve().parent.parent
DEPLOY = ROOT / "deploy"
UNITS = sorted((DEPLOY / "systemd").glob("*.service"))

sys.path.insert(0, str(ROOT / "tools"))

from write_cli_reference import help_text  # noqa: E402


def compose() -> dict:
    return yaml.safe_load((DEPLOY / "compose.yaml").read_text())


def test_the_units_are_valid(tmp_path):
    program = shutil.which("systemd-analyze")
    if program is None:
        pytest.skip("no systemd-analyze")
    for path in (DEPLOY / "systemd").iterdir():
        text = path.read_text()
        # Verification wants the programs and the user to exist.
        text = text.replace("/opt/scoregate/bin/scoregate", shutil.which("true"))
        text = text.replace("/opt/scoregate/bin/prefect", shutil.which("true"))
        text = text.replace("=scoregate\n", "=root\n")
        (tmp_path / path.name).write_text(text)
    units = [*tmp_path.glob("*.service"), *tmp_path.glob("*.target")]
    done = subprocess.run(
        [program, "verify", "--man=no", *units], capture_output=True, text=True, timeout=60
    )
    said = [
        line for line in done.stderr.splitlines() if str(tmp_path) in line or "scoregate" in line
    ]
    assert said == []


@pytest.mark.parametrize("unit", UNITS, ids=lambda path: path.name)
def test_a_unit_runs_as_a_user_of_its_own_and_ends_in_order(unit):
    lines = unit.read_text().splitlines()
    for line in (
        "User=scoregate", "UMask=0077", "NoNewPrivileges=yes", "ProtectSystem=strict",
        "EnvironmentFile=/etc/scoregate.env", "TimeoutStopSec=30", "Restart=on-failure",
    ):  # fmt: skip
        assert line in lines, line


def commands() -> list[list[str]]:
    """Return every `scoregate` command of the units and of the compose file."""
    found = []
    for unit in UNITS:
        for line in re.findall(r"^ExecStart(?:Pre)?=(.*)$", unit.read_text(), re.M):
            found.append(line.removeprefix("/opt/scoregate/bin/").split())
    found += [service["command"] for service in compose()["services"].values()]
    return [words for words in found if words[0] == "scoregate"]


def test_the_commands_exist_with_their_options():
    found = commands()
    assert {words[1] for words in found} == {"deploy", "worker", "dashboard", "monitor"}
    for words in found:
        options = [word for word in words[2:] if word.startswith("--")]
        text = help_text((words[1],))
        assert all(re.search(rf"{option}\b", text) for option in options), words


def test_ports_are_published_on_loopback_only_and_what_listens_wider_wants_a_secret():
    services = compose()["services"]
    for name, service in services.items():
        for port in service.get("ports", []):
            assert port.startswith("127.0.0.1:"), name
        if "0.0.0.0" in service["command"]:
            environment = service["environment"]
            secrets = {"PREFECT_SERVER_API_AUTH_STRING", "SCOREGATE_TOKEN"}
            assert secrets & set(environment), name
            assert ":?" in environment[(secrets & set(environment)).pop()]
    assert not re.search(r"0\.0\.0\.0", "".join(unit.read_text() for unit in UNITS))


def test_the_compose_file_is_read_by_compose():
    docker = shutil.which("docker")
    if docker is None:
        pytest.skip("no docker")
    if subprocess.run([docker, "compose", "version"], capture_output=True).returncode:
        pytest.skip("docker has no compose")
    command = [docker, "compose", "-f", DEPLOY / "compose.yaml", "config", "--quiet"]
    missing = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert missing.returncode
    assert "set a" in missing.stderr
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=60,
        env={"PATH": "/usr/bin:/bin", "SCOREGATE_PASSWORD": "p", "SCOREGATE_TOKEN": "t"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


def test_the_postgresql_file_gives_prefect_and_the_catalog_one_database():
    above = yaml.safe_load((DEPLOY / "compose.postgres.yaml").read_text())
    services = above["services"]
    assert set(services) - {"database"} <= set(compose()["services"])
    assert "ports" not in services["database"]
    secret = "${SCOREGATE_DATABASE_PASSWORD:?set a password}"
    filled_in = {
        name: {key: value.replace(secret, "p") for key, value in each["environment"].items()}
        for name, each in services.items()
    }
    of_server = filled_in["server"]["PREFECT_SERVER_DATABASE_CONNECTION_URL"]
    for name in ("worker", "dashboard", "monitor"):
        assert postgres.parse(filled_in[name][postgres.SETTING]).of_prefect == of_server
    assert of_server.endswith(f"@database/{filled_in['database']['POSTGRES_DB']}")


def test_the_container_file_copies_what_is_there_and_runs_as_a_user():
    text = (DEPLOY / "Containerfile").read_text()
    assert re.search(r"^USER scoregate$", text, re.M)
    assert "torch==2.13.0" in (ROOT / "pyproject.toml").read_text()
    assert "torch==2.13.0" in text
    extras = re.search(r"/source\[(.*?)\]", text)[1].split(",")
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert set(extras) <= set(project["optional-dependencies"])
    build = compose()["x-scoregate"]["build"]
    assert (DEPLOY / build["context"] / build["dockerfile"]).is_file()


def metric_names() -> set[str]:
    """Return the names of the metrics, as the collector's source writes them."""
    source = (ROOT / "flows" / "operations" / "metrics.py").read_text()
    names = set(re.findall(r'"(scoregate_[a-z_]+)"', source))
    return names | {"scoregate_archive_up", "scoregate_prefect_up"}


def test_board_and_alerts_ask_for_metrics_that_exist_and_the_page_lists_all():
    known = metric_names()
    board = json.loads((DEPLOY / "grafana-board.json").read_text())
    expressions = [target["expr"] for panel in board["panels"] for target in panel["targets"]]
    rules = yaml.safe_load((DEPLOY / "alert-rules.yaml").read_text())["groups"][0]["rules"]
    expressions += [rule["expr"] for rule in rules]
    asked = {name for text in expressions for name in re.findall(r"scoregate_[a-z_]+", text)}
    assert asked <= known
    page = (ROOT / "docs" / "operations.md").read_text()
    assert {name for name in known if f"`{name}`" not in page} == set()
    assert {rule["alert"] for rule in rules if rule["alert"] not in page} == set()


def test_the_panels_of_the_board_do_not_overlap():
    panels = json.loads((DEPLOY / "grafana-board.json").read_text())["panels"]
    cells = [
        (x, y)
        for each in (panel["gridPos"] for panel in panels)
        for x in range(each["x"], each["x"] + each["w"])
        for y in range(each["y"], each["y"] + each["h"])
    ]
    assert len(cells) == len(set(cells))
    assert max(x for x, _ in cells) < 24


def test_prometheus_scrapes_where_the_monitor_listens():
    settings = yaml.safe_load((DEPLOY / "prometheus.yaml").read_text())
    (target,) = settings["scrape_configs"][0]["static_configs"][0]["targets"]
    assert re.search(rf"default: {target.rpartition(':')[2]}\b", help_text(("monitor",)))
    assert all((DEPLOY / name).is_file() for name in settings["rule_files"])
