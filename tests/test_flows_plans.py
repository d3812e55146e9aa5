"""Plans: rows of every format, bad rows, names of every script, and going on after a kill."""

from __future__ import annotations

import csv
import io
import json
import re

import pytest
from commands import scoregate, scoregate_here
from prefect.logging import disable_run_logger

from scoregate.archive.records import PieceRow, RoundRecord, RunRecord, now
from scoregate.archive.store import Archive
from scoregate.errors import InputError, RunError
from scoregate.experiments.record import read_experiment
from scoregate.findings import Status
from scoregate.flows import plans, shards
from scoregate.flows.plan_results import failed_row, finished_row, skipped_row, write_plan
from scoregate.flows.plan_rows import BadRow, read_plan
from scoregate.notagen.text.styles import NOTAGEN_X
from scoregate.requests import PlanRequest, ProduceOptions, ProduceRequest, checked
from scoregate.safe_names import safe_name
from scoregate.style_names import _known, in_latin
from scoregate.styles import resolve

BACH = "Baroque/Bach, Johann Sebastian/Choral"
NAMES = ("肖邦", "蕭邦", "باخ", "🎹", "../../etc", "a/b\\c", "con", "", "x" * 400, "..", "Dvořák")


def plan_of(tmp_path, text: str, name: str = "plan.csv", **values) -> PlanRequest:
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    return checked(PlanRequest, plan=str(path), out=str(tmp_path / "out"), **values)


def ended(store: Archive, request: ProduceRequest, run_id: str, passed: int = 1) -> RunRecord:
    """Write the record of a run that has ended."""
    pieces = [PieceRow(piece_id=str(number), status=Status.PASSED) for number in range(passed)]
    record = RunRecord(
        run_id=run_id,
        request=request.model_dump() | {"seed": 5},
        rounds=[RoundRecord(round=1, drawn=passed + 1)],
        pieces=pieces,
        missing=request.count - passed,
        seconds=2.0,
        finished=now(),
    )
    store.write_run(record)
    return record


# Names


def test_every_name_of_notagen_has_a_chinese_one():
    for style in NOTAGEN_X:
        chinese = "/".join(
            next(other for other, name in _known().items() if name == part)
            for part in (style.period, style.composer, style.instrumentation)
        )
        assert resolve(chinese, trained=NOTAGEN_X) == style
    assert set(_known().values()) == {
        part for s in NOTAGEN_X for part in (s.period, s.composer, s.instrumentation)
    }


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("巴洛克／约翰·塞巴斯蒂安·巴赫／合唱", BACH),
        ("巴洛克_巴赫_合唱", BACH),
        ("bach / 合唱", BACH),
        ("蕭邦/鍵盤", "Romantic/Chopin, Frederic/Keyboard"),
        ("Dvořák/室内乐", "Romantic/Dvorak, Antonin/Chamber"),
    ],
)
def test_styles_are_found_by_chinese_names(text, meant):
    assert str(resolve(text, trained=NOTAGEN_X)) == meant


def test_an_unknown_name_in_another_script_is_named():
    with pytest.raises(InputError, match="'باخ' is no name"):
        in_latin("باخ/Choral")
    assert in_latin("Bartók/Keyboard") == "Bartók/Keyboard"


def test_names_of_files_are_safe_and_different():
    made = [safe_name(name) for name in NAMES]
    assert len(set(made)) == len(NAMES)
    for name in made:
        assert re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,59}", name), name
        assert name.lower() not in ("con", "..")
    assert safe_name("night-2") == "night-2"


# Rows


def test_rows_of_every_format_are_the_same_requests(tmp_path):
    texts = {
        "p.csv": f"\ufeffname,style,count,preset,seed\n第一,{BACH!r},2,careful,\n,,3,,9\n".replace(
            "'", '"'
        ),
        "p.jsonl": json.dumps({"name": "第一", "style": BACH, "count": 2, "preset": "careful"})
        + "\n\n"
        + json.dumps({"count": 3, "seed": 9})
        + "\n",
        "p.toml": f'[[request]]\nname = "第一"\nstyle = "{BACH}"\ncount = 2\npreset = "careful"\n'
        "[[request]]\ncount = 3\nseed = 9\n",
    }
    found = [read_plan(plan_of(tmp_path, text, name)) for name, text in texts.items()]
    assert all(not bad for _, bad in found)
    assert found[0] == found[1] == found[2]
    first, second = found[0][0]
    assert (first.name, first.request.count, first.request.temperature) == ("第一", 2, 0.8)
    assert (second.number, second.request.seed, second.request.style) == (2, 9, BACH)


def test_a_row_wins_over_typed_options_and_those_over_the_file(tmp_path):
    text = (
        '[defaults]\ncount = 2\ntemperature = 1.1\nstyle = "bach"\n'
        '[[request]]\n[[request]]\ncount = 7\npreset = "careful"\n'
    )
    typed = {"count": 5, "temperature": 1.4, "top_p": 0.5}
    (plain, own), bad = read_plan(plan_of(tmp_path, text, "p.toml", defaults=typed))
    assert not bad
    assert (plain.request.count, plain.request.temperature) == (5, 1.4)
    assert (own.request.count, own.request.temperature, own.request.top_p) == (7, 0.8, 0.8)


def test_equal_rows_are_different_requests_and_keep_their_keys(tmp_path):
    (one, two), _ = read_plan(plan_of(tmp_path, "count\n1\n1\n"))
    (new, again, same), _ = read_plan(plan_of(tmp_path, "count\n2\n1\n1\n"))
    assert one.key != two.key
    assert [again.key, same.key] == [one.key, two.key]
    assert new.key not in (one.key, two.key)


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("p.csv", "count,temperature\n1,1\n1,-1\n", r"row 2 \(line 3\): temperature: input should"),
        ("p.csv", "count\n1\n1,2\n", r"row 2 \(line 3\): it has 2 cells"),
        ("p.csv", "preset\nbach-polyfony\n", r"row 1 .*: preset: .*Did you mean bach-polyphony"),
        ("p.csv", "style\nChopin/Keyboard\n", r"row 1 .*: style: The weights were not trained"),
        ("p.csv", "composer\n外星人\n", r"row 1 .*: style: '外星人' is no name"),
        ("p.csv", "composer,style\n巴赫,Bach\n", r"row 1 .*: style: a row has a style, or"),
        ("p.csv", "model\nstm\n", r"row 1 .*: model: There is no generator 'stm'"),
        ("p.csv", "weights\nnowhere.pth\n", "row 1 .*: weights: "),
        ("p.csv", "out\nx\n", "column 'out': it holds for the whole plan"),
        ("p.csv", "tempratur\n1\n", "did you mean temperature"),
        ("p.csv", "count,count\n1,1\n", "a column twice"),
        ("p.csv", "", "has no rows"),
        ("p.jsonl", '{"count": 1}\n[1]\n{"count": "x"}\n', r"row 2 \(line 2\): it is no JSON obj"),
        ("p.jsonl", '{"count": 1}\n{"colour": 1}\n', r"row 2 \(line 2\): colour: there is no such"),
        ("p.toml", "[[request]\n", "is no TOML"),
        ("p.toml", "[[rows]]\n", "'rows'.* at its top"),
        ("p.toml", "[defaults]\nout = 'x'\n[[request]]\n", "defaults: out: it holds"),
        ("p.xlsx", "", "no plan by its ending"),
    ],
)
def test_what_is_wrong_is_named_by_row_and_field(name, text, said, tmp_path):
    with pytest.raises(InputError, match=said):
        plans.checked_rows(plan_of(tmp_path, text, name))


def test_a_plan_that_is_not_utf8_is_told_so(tmp_path):
    (tmp_path / "p.csv").write_bytes("composer\n肖邦\n".encode("gbk"))
    with pytest.raises(InputError, match="is not UTF-8"):
        read_plan(PlanRequest(plan=str(tmp_path / "p.csv")))
    (tmp_path / "p.csv").write_bytes("composer\n巴赫\n".encode("utf-16"))
    (row,), _ = read_plan(PlanRequest(plan=str(tmp_path / "p.csv")))
    assert row.request.style == BACH


def test_bad_rows_are_skipped_where_that_is_asked_for(tmp_path):
    text = "name,count\n,1\n三,0\n,2\n"
    with pytest.raises(InputError, match="--skip-bad-rows runs the others"):
        plans.checked_rows(plan_of(tmp_path, text))
    rows, bad = plans.checked_rows(plan_of(tmp_path, text, skip_bad_rows=True))
    assert [row.number for row in rows] == [1, 3]
    assert [(each.number, each.field, each.name) for each in bad] == [(2, "count", "三")]
    with pytest.raises(InputError, match="count"):
        plans.checked_rows(plan_of(tmp_path, "count\n0\n", skip_bad_rows=True))


def test_options_of_a_plan_need_a_plan():
    for values in ({"at_once": 2}, {"skip_bad_rows": True}, {"dask": "local"}):
        with pytest.raises(InputError):
            checked(ProduceOptions, **values)
    asked = checked(ProduceOptions, plan="p.csv", dask="local", count=2, out="o").plan_request()
    assert (asked.dask, asked.out, asked.defaults) == ("local", "o", {"count": 2})
    one = checked(ProduceOptions, count=2, preset="careful", seed=1).production()
    assert one == ProduceRequest(count=2, preset="careful", seed=1)
    assert one.key == ProduceRequest(count=2, preset="careful", seed=1).key


# Runs


@pytest.fixture
def runner(monkeypatch):
    """Stand in for the processes: write the record of a run that ends, but not for count 13."""
    asked: list[ProduceRequest] = []

    def run(request: ProduceRequest) -> str:
        if request.count == 13:
            raise RunError("It broke.", "Try again.")
        asked.append(request)
        record = ended(Archive(request.out), request, f"run-{len(asked)}-{request.count}")
        return record.run_id

    monkeypatch.setattr(plans, "runner_for", lambda request: (run, 1))
    monkeypatch.setattr(shards, "MOST_TRIES", 1)
    return asked


def run_rows(request: PlanRequest) -> tuple[dict[str, str], dict[str, str]]:
    rows, _ = plans.checked_rows(request)
    done = plans.finished_runs(plans.folder_of(request), rows, Archive(request.out))
    with disable_run_logger():
        failed = plans.run_rows.fn(request, rows, done)
    return done, failed


def test_a_longer_plan_runs_only_what_is_new(tmp_path, runner):
    done, failed = run_rows(plan_of(tmp_path, "name,count\n肖邦,1\n../x,2\n,13\n"))
    assert [each.count for each in runner] == [1, 2]
    assert len(done) == 2
    assert list(failed.values()) == ["It broke. Try again."]
    run_rows(plan_of(tmp_path, "name,count\nnew,3\n肖邦,1\n../x,2\n"))
    assert [each.count for each in runner] == [1, 2, 3]
    files = {path.relative_to(tmp_path / "out") for path in (tmp_path / "out/plans").rglob("*.*")}
    assert all(str(path).isascii() and ".." not in path.parts for path in files)
    assert len([path for path in files if path.parent.name == "rows"]) == 3


def test_a_run_that_ended_while_nobody_waited_is_found(tmp_path, runner):
    request = plan_of(tmp_path, "count\n1\n2\n")
    (first, second), _ = plans.checked_rows(request)
    folder = plans.folder_of(request)
    (folder / "rows").mkdir(parents=True)
    asked = second.request.model_copy(update={"part_of": plans.part_of(folder, second)})
    ended(Archive(request.out), asked, "lost-1")
    done, _ = run_rows(request)
    assert done == {first.key: "run-1-1", second.key: "lost-1"}
    assert [each.count for each in runner] == [1]
    again, _ = run_rows(request)
    assert again == done


def test_a_row_whose_record_is_gone_is_run_again(tmp_path, runner):
    request = plan_of(tmp_path, "count\n1\n")
    run_rows(request)
    (tmp_path / "out/runs/run-1-1/run.json").unlink()
    run_rows(request)
    assert len(runner) == 2


def test_rows_share_the_cores(tmp_path, runner, monkeypatch):
    monkeypatch.setattr(plans, "cores", lambda: 8)
    run_rows(plan_of(tmp_path, "count,processes\n1,\n2,5\n", at_once=2))
    assert [each.processes for each in runner] == [4, 5]
    assert all(each.part_of for each in runner)


def test_the_joint_results_as_table_csv_json_and_page(tmp_path):
    rows, _ = plans.checked_rows(plan_of(tmp_path, "name,count\n<b>肖|邦</b>,2\n,1\n"))
    record = ended(Archive(tmp_path / "out"), rows[0].request, "run-1", passed=1)
    results = [
        finished_row(rows[0], record),
        failed_row(rows[1], "It <broke>."),
        skipped_row(BadRow(3, "row 3 (line 4)", "count", "it is 0")),
    ]
    paths = write_plan(tmp_path / "out/plans/p", "计划.csv", results, "scoregate produce")
    assert (results[0].passed, results[0].drawn, results[0].rate) == (1, 2, 0.5)
    with open(paths["csv"], encoding="utf-8") as file:
        table = list(csv.DictReader(io.StringIO(file.read())))
    assert [each["state"] for each in table] == ["finished", "failed", "skipped"]
    assert table[0]["name"] == "<b>肖|邦</b>"
    with open(paths["json"], encoding="utf-8") as file:
        assert json.load(file)[0]["run_id"] == "run-1"
    with open(paths["table"], encoding="utf-8") as file:
        assert "| 1 of 2 | 2 | 50% (9% to 91%) |" in file.read()
    experiment = read_experiment(tmp_path / "out/plans/p")
    assert (experiment.kind, experiment.tables[0].runs) == ("plan", ["run-1"])
    with open(paths["page"], encoding="utf-8") as file:
        page = file.read()
    assert '<a href="../../runs/run-1/report.html">run-1</a>' in page
    assert "&lt;b&gt;肖|邦" in page
    assert "<b>肖" not in page
    assert "It &lt;broke&gt;." in page


@pytest.mark.slow
@pytest.mark.server
def test_a_finished_plan_runs_nothing_again(tmp_path, prefect_server):
    path, out = tmp_path / "计划.csv", tmp_path / "out"
    path.write_text("name,composer,count,seed\n一,巴赫,1,7\n二,肖邦,1,9\n", "utf-8")
    words = ["produce", "--plan", path, "--threads", 1, "--out", out, "--skip-bad-rows"]
    done = scoregate(*words, url=prefect_server.url)
    assert done.returncode == 1, done.stderr  # A row was skipped.
    assert "1 of 2 requests were run now" in done.stdout
    (results,) = out.glob("plans/*/results.json")
    found = json.loads(results.read_text())
    assert [each["state"] for each in found] == ["finished", "skipped"]
    assert results.parent.name.isascii()
    again = scoregate_here(*words, url=prefect_server.url)
    assert "0 of 2 requests were run now" in again.stdout
    assert json.loads(results.read_text()) == found
    assert len(Archive(out).run_ids()) == 1
