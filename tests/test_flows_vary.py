"""Variations of a theme: their ranking, and a set that is made by the line."""

from __future__ import annotations

import json

import pytest
from commands import scoregate, scoregate_here

from scoregate.abc.reader import read
from scoregate.archive.records import PieceReport, PieceRow, RoundRecord, RunRecord
from scoregate.archive.store import Archive
from scoregate.experiments.record import read_experiment
from scoregate.findings import Status
from scoregate.requests import VaryRequest, checked
from scoregate.tasks.theme import melody_alone, prepare
from scoregate.tasks.variations import experiment_of, ranked, table
from scoregate.validators.analysis.theme_distance import notes_of_voice

THEME = "K:C\nc2 d2 e2 d2|c4 B4|c8|]"
LOWER = {"2": ("G4 G4", "G8", "E8"), "3": ("E4 C4", "D8", "C8"), "4": ("C,4 C,4", "G,,8", "C,8")}


def variation(soprano: tuple[str, ...], lower: dict[str, tuple[str, ...]] = LOWER) -> str:
    heads = "".join(f"V:{voice}\n" for voice in "1234")
    lines = [
        f"[V:1]{bar}|" + "".join(f"[V:{v}]{music[index]}|" for v, music in lower.items())
        for index, bar in enumerate(soprano)
    ]
    return f"X:1\nL:1/8\nM:4/4\nK:C\n{heads}" + "\n".join(lines) + "\n"


def stored(store: Archive, run_id: str, text: str, status: Status = Status.PASSED) -> PieceRow:
    report = PieceReport(status=status, run_id=run_id, reasons=["bars"])
    entry = store.add_all([({"score.abc": text}, report)])[0]
    reasons = [] if status == Status.PASSED else ["bars"]
    return PieceRow(piece_id=entry.piece_id, status=status, bars=3, seed=1, reasons=reasons)


def test_passing_variations_come_first_and_the_nearest_before_the_others(tmp_path):
    store = Archive(tmp_path)
    theme = prepare(checked(VaryRequest, theme=THEME, reharmonise=True, out=str(tmp_path)))
    same = ("c2 d2 e2 d2", "c4 B4", "c8")
    moving = LOWER | {"2": ("G2 F2 GA F2", "GFGF G4", "EFGF E4")}
    rows = [
        stored(store, "r1", variation(("c2 d2 e2 e2", "c4 B4", "c8"))),
        stored(store, "r1", variation(same, LOWER | {"2": ("z8", "z8", "E8")})),
        stored(store, "r1", variation(same, moving)),
        stored(store, "r1", variation(("c2 d2 e2 d2", "c4 B4", "c4 c4")), Status.REJECTED),
    ]
    rows.append(rows[0])  # The same piece again is one variation.
    rounds = [RoundRecord(round=1, drawn=5)]
    record = RunRecord(run_id="r1", pieces=rows, rounds=rounds, request={"seed": 1})
    found = ranked(theme, record, store)
    assert [one.rank for one in found] == [1, 2, 3, 4]
    assert [one.exact for one in found] == [True, True, False, False]
    assert [one.status for one in found] == ["passed", "passed", "passed", "rejected"]
    assert found[0].piece_id == rows[1].piece_id  # It adds least to the theme's one voice.
    assert found[0].distance is not None
    assert found[1].distance is not None
    assert 0 < found[0].distance < found[1].distance < 1
    shown = table(found).rows
    assert [row[4] for row in shown] == ["exact", "exact", "changed", "changed"]
    assert shown[3][2:] == ["rejected", shown[3][3], "changed", "0", "3", "bars"]
    facts = dict(experiment_of(theme, record, found, "").facts)
    assert (facts["generated"], facts["soprano exact"]) == ("5", "2 of 4")


def test_continuations_are_compared_behind_the_theme(tmp_path):
    store = Archive(tmp_path)
    bars = ("c2 d2 e2 d2", "c4 B4", "c8")
    opening = variation(bars)
    theme = prepare(checked(VaryRequest, theme=opening, out=str(tmp_path)))
    again = {voice: music * 2 for voice, music in LOWER.items()}
    rows = [
        stored(store, "r1", variation((*bars, "g2 a2 g2 a2", "g2 f2 e2 d2", "c8"), again)),
        stored(store, "r1", variation((*bars, *bars), again)),
        stored(store, "r1", opening),
    ]
    found = ranked(theme, RunRecord(run_id="r1", pieces=rows), store)
    assert [one.piece_id for one in found] == [rows[1].piece_id, rows[0].piece_id, rows[2].piece_id]
    assert [one.distance for one in found][::2] == [0, None]
    assert {one.exact for one in found} == {None}


@pytest.mark.slow
@pytest.mark.server
def test_variations_are_judged_archived_and_ranked(tmp_path, prefect_server):
    out = tmp_path / "out"
    # In a process of its own: nothing that this one has imported or set may be needed.
    done = scoregate(
        "vary", THEME.replace("\n", "\\n"), "--reharmonise", "--count", 2, "--seed", 3,
        "--rounds", 1, "--threads", 1, "--out", out, url=prefect_server.url,
    )  # fmt: skip
    assert done.returncode in (0, 1), done.stderr
    assert "typed ABC, bars 1-3: 2 variations generated" in done.stdout
    (path,) = out.glob("runs/*/variations.json")
    assert "--seed 3 --rounds 1" in read_experiment(path.parent).command
    content = json.loads(path.read_text())
    given = notes_of_voice(read(melody_alone(content["request"]["forced"]["text"])))
    assert len(content["variations"]) == content["drawn"] == 2
    for one in content["variations"]:
        assert one["exact"] is True
        (folder,) = out.glob(f"**/{one['piece_id']}")
        report = json.loads((folder / "report.json").read_text())
        assert report["provenance"]["theme"]["parent"] == content["request"]["forced"]["parent"]
        assert report["provenance"]["theme"]["forced_as"] == "voice"
        assert notes_of_voice(read((folder / "score.abc").read_text())) == given


def test_mistakes_are_told_before_a_server_is_started(tmp_path):
    done = scoregate_here("vary", "nowhere.abc", "--out", tmp_path / "out")
    assert done.returncode == 2
    assert "There is no theme 'nowhere.abc'." in done.stderr
    assert "Prefect" not in done.stderr
    assert not (tmp_path / "out").exists()
