"""Findings as SARIF, the pre-commit hook and the example of a CI job."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest
import yaml
from commands import scoregate
from typer.testing import CliRunner

from scoregate.findings import Finding, Status
from scoregate.flows.cli import app
from scoregate.flows.sarif import sarif_log
from scoregate.validators.checking import Checked

ROOT = Path(__file__).resolve().parent.parent
PIECES = Path(__file__).parent / "pieces"
BOOK = "".join(
    f"X:{number}\nT:Tune\nM:4/4\nL:1/4\nQ:1/4=90\nK:C\nCEGc|{bar}|c4|]\n\n"
    for number, bar in ((1, "G2E2"), (2, "G2E4"))
)


SCHEMA = json.loads((Path(__file__).parent / "data/sarif/sarif-2.1.0-rtm.5.json").read_text())
"""The schema of the standard; data/sarif/LICENSE-MIT says where it is from."""


def required_structure(log: dict) -> None:
    """Assert that a log keeps to the schema of SARIF 2.1.0, and what it can't tell."""
    jsonschema.Draft4Validator(SCHEMA).validate(log)
    assert set(log) >= {"version", "runs"}
    assert log["version"] == "2.1.0"
    assert log["$schema"].endswith("sarif-2.1.0.json")
    for run in log["runs"]:
        driver = run["tool"]["driver"]
        assert driver["name"]
        rules = driver["rules"]
        assert len({rule["id"] for rule in rules}) == len(rules)
        assert run["columnKind"] in ("utf16CodeUnits", "unicodeCodePoints")
        for result in run["results"]:
            assert result["message"]["text"]
            assert result["level"] in ("none", "note", "warning", "error")
            assert rules[result["ruleIndex"]]["id"] == result["ruleId"]
            for location in result["locations"]:
                place = location["physicalLocation"]
                assert not place["artifactLocation"]["uri"].startswith("/")
                assert " " not in place["artifactLocation"]["uri"]
                assert place["region"]["startLine"] >= 1
                assert place["region"].get("startColumn", 1) >= 1


def test_findings_become_results_with_their_places():
    finding = Finding("bars", "bars.too-long", "critical", "5/4 found", "2", 7, 12, 3)
    other = Finding("harmony", "harmony.tempo-missing", "warning", "no tempo is given")
    log = sarif_log(
        [
            Checked("my scores/a.abc", Status.REJECTED, findings=[finding, other]),
            Checked("book.abc#12", Status.PASSED, findings=[other]),
            Checked("b.abc", Status.NOT_JUDGED, reasons=["harmony: could not judge: a crash"]),
        ]
    )
    required_structure(log)
    (run,) = log["runs"]
    assert [rule["id"] for rule in run["tool"]["driver"]["rules"]] == [
        "bars.too-long", "harmony.tempo-missing", "verdict.failed",
    ]  # fmt: skip
    first, second, third, fourth = run["results"]
    assert first["level"] == "error"
    assert first["message"]["text"] == "voice 2, bar 7: 5/4 found"
    assert first["locations"][0]["physicalLocation"] == {
        "artifactLocation": {"uri": "my%20scores/a.abc"},
        "region": {"startLine": 12, "startColumn": 3},
    }
    assert second["level"] == "warning"
    assert third["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] == "book.abc"
    assert third["message"]["text"] == "tune 12: no tempo is given"
    assert fourth["message"]["text"] == "harmony: could not judge: a crash"


@pytest.mark.parametrize(
    "spoil",
    [
        lambda run: run["tool"]["driver"].pop("name"),
        lambda run: run["results"][0].update(level="fatal"),
        lambda run: run["results"][0].update(score=1),
        lambda run: run["results"][0]["locations"][0]["physicalLocation"]["region"].update(
            startLine=0
        ),
    ],
    ids=["no name", "an unknown level", "an unknown key", "line 0"],
)
def test_the_schema_refuses_what_is_no_sarif(spoil):
    finding = Finding("bars", "bars.too-long", "critical", "5/4 found", "2", 7, 12, 3)
    log = sarif_log([Checked("a.abc", Status.REJECTED, findings=[finding])])
    required_structure(log)
    spoil(log["runs"][0])
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.Draft4Validator(SCHEMA).validate(log)


def test_a_path_below_the_working_directory_is_relative(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    finding = Finding("bars", "bars.too-long", "critical", "5/4 found")
    log = sarif_log([Checked(str(tmp_path / "in" / "a.abc"), Status.REJECTED, findings=[finding])])
    place = log["runs"][0]["results"][0]["locations"][0]["physicalLocation"]
    assert place["artifactLocation"]["uri"] == "in/a.abc"


@pytest.mark.slow
def test_check_prints_one_log_for_all_files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "book.abc").write_text(BOOK)
    (tmp_path / "broken.abc").write_text("no music")
    done = CliRunner().invoke(app, ["check", "book.abc", "broken.abc", "--format", "sarif"])
    assert done.exit_code == 1
    log = json.loads(done.stdout)
    required_structure(log)
    errors = [it for it in log["runs"][0]["results"] if it["level"] == "error"]
    places = [it["locations"][0]["physicalLocation"] for it in errors]
    assert ("book.abc", 15) in [
        (place["artifactLocation"]["uri"], place["region"]["startLine"]) for place in places
    ]
    assert "broken.abc" in {place["artifactLocation"]["uri"] for place in places}
    assert any(it["message"]["text"].startswith("tune 2: ") for it in errors)


def test_format_json_is_what_json_prints(tmp_path):
    file = str(PIECES / "song.abc")
    by_name = CliRunner().invoke(app, ["check", file, "--format", "json"])
    assert by_name.stdout == CliRunner().invoke(app, ["check", file, "--json"]).stdout
    assert json.loads(by_name.stdout)["file"] == file


@pytest.mark.slow
def test_the_hook_rejects_a_broken_score_and_passes_a_good_one(tmp_path):
    (hook,) = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text())
    assert hook["language"] == "python"
    words = shlex.split(hook["entry"])
    assert words[0] == "scoregate"
    broken = tmp_path / "broken.abc"
    broken.write_text(BOOK)
    assert scoregate(*words[1:], PIECES / "chorale.abc").returncode == 0
    assert scoregate(*words[1:], PIECES / "chorale.abc", broken).returncode == 1


@pytest.mark.slow
def test_the_example_of_a_ci_job_runs_what_exists():
    job = yaml.safe_load((ROOT / "docs" / "examples" / "check-scores.yml").read_text())
    steps = job["jobs"]["scores"]["steps"]
    commands = [line for step in steps for line in step.get("run", "").splitlines()]
    (check,) = [line for line in commands if line.startswith("scoregate check")]
    assert "--format sarif" in check
    uploads = [step for step in steps if "upload-sarif" in step.get("uses", "")]
    assert uploads[0]["with"]["sarif_file"] in check
    # The findings are shown even where they fail the job.
    assert uploads[0]["if"] == "always()"
    assert (
        subprocess.run([sys.executable, "-c", "import scoregate.flows.cli"], check=True).returncode
        == 0
    )
