"""The registry of gates and measures, gates of other distributions, and what derives from it."""

from __future__ import annotations

import doctest
import json
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

import scoregate.validators
from scoregate.errors import RequestError
from scoregate.findings import Finding, Outcome, Status
from scoregate.validators import examine, registry
from scoregate.validators.analysis import novelty_index
from scoregate.validators.examination import run_gate
from scoregate.validators.verdict import rules, suite, thresholds

ROOT = Path(__file__).resolve().parent.parent
CHORALE = (Path(__file__).parent / "pieces" / "chorale.abc").read_text()
WITH_A_FIFTH_GATE = registry.FunctionGate("beauty", "1", "Is it beautiful?", lambda *_, **__: None)


def test_the_public_face_is_this():
    assert scoregate.validators.__all__ == [
        "Examination", "Failure", "Finding", "FunctionGate", "Gate", "Judge", "Judgement",
        "Measure", "Outcome", "Severity", "Status", "ThresholdFile", "Thresholds", "Verdict",
        "accept_line", "examine", "judge", "judge_texts", "registry", "reward",
    ]  # fmt: skip
    for name in scoregate.validators.__all__:
        assert hasattr(scoregate.validators, name), name
    assert doctest.testmod(scoregate.validators).failed == 0


def test_the_face_of_each_package_exists():
    from scoregate.validators import analysis, gates, verdict

    assert verdict.__all__ == [
        "Bound", "ThresholdFile", "Thresholds", "for_style", "judge", "load", "row",
    ]  # fmt: skip
    assert all(hasattr(verdict, name) for name in verdict.__all__)
    modules = {path.stem for path in (ROOT / "validators" / "gates").glob("[a-z]*.py")}
    assert modules == set(registry.BUILT_IN)
    modules = {path.stem for path in (ROOT / "validators" / "analysis").glob("[a-z]*.py")}
    assert modules == set(re.findall(r"^(\w+)  ", analysis.__doc__ or "", re.MULTILINE)) - {
        "module"
    }
    assert gates.__all__ == analysis.__all__ == []


def test_the_import_is_cheap():
    heavy = ("numpy", "pandas", "torch", "prefect", "great_expectations", "music21", "pydantic")
    code = (
        "import sys, scoregate.validators; "
        f"print([name for name in {heavy!r} if name in sys.modules])"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert said.stdout == "[]\n"


def test_gates_come_in_their_order_and_those_for_production_only_when_asked():
    everyday = ("syntax", "bars", "ranges", "repetition", "measures", "harmony", "parts", "marks")
    assert registry.names() == everyday
    assert registry.names(production=True) == (*everyday, "novelty")
    assert tuple(examine(CHORALE).outcomes) == everyday


def test_every_gate_declares_what_it_gives():
    seen = examine(CHORALE, gates=registry.names(production=True), style="a/b/Choral")
    for gate in registry.gates():
        outcome = seen.outcomes[gate.name]
        assert (outcome.gate, outcome.version) == (gate.name, gate.version)
        assert set(outcome.measures) == {measure.name for measure in gate.measures}
        assert gate.asks.endswith("?")
    for measure in registry.measures().values():
        assert measure.title, measure
        assert measure.note, measure
        assert 0 <= measure.digits <= 3, measure


@pytest.mark.parametrize(("wrong", "near"), [("bar", "bars"), ("Novelty", "novelty")])
def test_an_unknown_gate_is_refused_with_the_nearest_name(wrong, near):
    for ask in (registry.find, lambda name: examine(CHORALE, gates=(name,))):
        with pytest.raises(RequestError, match=f"There is no gate {wrong!r}") as caught:
            ask(wrong)
        assert caught.value.remedy.startswith(f"Did you mean {near!r}? Gates: syntax, bars,")
    with pytest.raises(RequestError, match="no gate"):
        run_gate(wrong, examine(CHORALE).score, None)


def test_a_name_like_no_other_is_refused_without_a_guess():
    with pytest.raises(RequestError) as caught:
        registry.find("xyz")
    assert caught.value.remedy.startswith("Gates: ")


# --- what derives from the registry -----------------------------------------------------------


def test_the_thresholds_know_every_gate_and_only_measures_that_exist():
    file = thresholds.load()
    built_in = [gate.name for gate in registry.gates() if gate.name in registry.BUILT_IN]
    assert sorted(file.general.findings) == sorted(built_in)
    for limits in file.sets:
        assert set(limits.measures) <= set(registry.measures())


def test_the_verdict_needs_every_registered_gate_unless_told_otherwise():
    outcomes = examine(CHORALE, gates=registry.names(production=True)).outcomes
    whole = rules.row("a", outcomes)
    assert rules.judge([whole])[0].passed
    for gate in registry.names(production=True):
        without = {key: value for key, value in whole.items() if not key.startswith(f"{gate}.")}
        assert rules.judge([without])[0].status is Status.NOT_JUDGED, gate


def test_the_pages_have_words_for_every_measure_and_no_other():
    from scoregate.dashboard.formatting import MEASURES, measure_note, measure_title

    assert set(MEASURES) == set(registry.measures())
    for name, measure in registry.measures().items():
        assert (measure_title(name), measure_note(name)) == (measure.title, measure.note)


def test_screen_judges_again_when_any_gate_changes(monkeypatch):
    from scoregate.validators.checking import judge_version

    before = judge_version(None, novelty=True)
    for gate in registry.gates():
        assert f"{gate.name} {gate.version}" in before
    now = registry.find("bars").version
    changed = tuple(
        replace(gate, version="next") if gate.name == "bars" else gate for gate in registry.gates()
    )
    monkeypatch.setattr(registry, "gates", lambda: changed)
    assert judge_version(None, novelty=True) == before.replace(f"bars {now}", "bars next") != before


# --- gates of other distributions -------------------------------------------------------------


@pytest.fixture
def registered(monkeypatch):
    """Register gates under entry points of other distributions, for one test."""

    class Found:
        def __init__(self, name, gate):
            self.name, self.value, self.dist, self.gate = name, name, None, gate

        def load(self):
            if isinstance(self.gate, BaseException):
                raise self.gate
            return self.gate

    def register(**found):
        points = [Found(name, gate) for name, gate in found.items()]
        monkeypatch.setattr(registry, "entry_points", lambda group: points)
        registry.gates.cache_clear()
        registry.measures.cache_clear()

    yield register
    monkeypatch.undo()
    registry.gates.cache_clear()
    registry.measures.cache_clear()


def beauty(check, **fields):
    """Return a gate of somebody else's."""
    return replace(WITH_A_FIFTH_GATE, check=check, **fields)


def answer(severity="critical", **measures):
    """Return a check that makes one finding."""

    def check(score, *, style=None):
        finding = Finding("beauty", "beauty.none", severity, "it is ugly")
        return Outcome("beauty", "1", findings=[finding], measures=measures)

    return check


@pytest.mark.slow
def test_no_critical_finding_of_another_gate_is_allowed(registered):
    registered(beauty=beauty(answer()))
    examination = examine(CHORALE)
    assert tuple(examination.outcomes)[-1] == "beauty"
    assert examination.verdict().status is Status.REJECTED
    row = rules.row("a", examination.outcomes)
    (by_the_suite,) = suite.judge([row], gates=examination.outcomes)
    assert [str(item) for item in by_the_suite.failed] == [
        "beauty.critical: 1, at most 0 expected"
    ] + [str(item) for item in by_the_suite.failed[1:]]
    assert by_the_suite.status is Status.REJECTED


@pytest.mark.parametrize("severity", ["warning", "info"])
def test_a_warning_of_another_gate_decides_nothing(registered, severity):
    registered(beauty=beauty(answer(severity)))
    assert examine(CHORALE).verdict().passed


@pytest.mark.parametrize(
    ("gate", "says"),
    [
        (ImportError("no module named 'taste'"), "ImportError: no module named 'taste'"),
        (SystemExit(3), "SystemExit: 3"),
        (object(), "it has no name, version, asks, measures, production_only, check"),
        (replace(WITH_A_FIFTH_GATE, name="Beauty!"), "its name 'Beauty!' is not made of"),
        (replace(WITH_A_FIFTH_GATE, name="bars"), "another gate is called 'bars'"),
        (replace(WITH_A_FIFTH_GATE, version=""), "its version is not a text"),
        (
            replace(WITH_A_FIFTH_GATE, measures=(registry.Measure("bars.critical", "a", "b"),)),
            "its measure 'bars.critical' should be called 'beauty.<measure>'",
        ),
        (
            replace(WITH_A_FIFTH_GATE, measures=(registry.Measure("beauty.critical", "a", "b"),)),
            "its measure 'beauty.critical' should be called 'beauty.<measure>'",
        ),
        (replace(WITH_A_FIFTH_GATE, measures=None), "TypeError"),
    ],
    ids=lambda item: item if isinstance(item, str) else "",
)
def test_a_gate_that_cannot_be_loaded_lets_nothing_pass_and_is_named(registered, gate, says):
    registered(beauty=gate)
    examination = examine(CHORALE)
    assert examination.verdict().status is Status.NOT_JUDGED
    outcome = examination.outcomes["beauty"]
    assert not outcome.judged
    assert "The gate 'beauty' of an unknown distribution can't be used" in outcome.reason
    assert says in outcome.reason


@pytest.mark.parametrize(
    ("check", "says"),
    [
        (lambda score, *, style=None: None, "answered with NoneType instead of an Outcome"),
        (lambda score, *, style=None: Outcome("bars", "1"), "answered in the name of 'bars'"),
        (answer(**{"bars.critical": 0.0}), "does not declare its measures bars.critical"),
        (answer("fatal"), "the severity 'fatal'"),
        (lambda score: Outcome("beauty", "1"), "TypeError"),
    ],
)
def test_an_answer_that_no_verdict_can_be_drawn_from_is_not_judged(registered, check, says):
    registered(beauty=beauty(check))
    examination = examine(CHORALE)
    assert examination.verdict().status is Status.NOT_JUDGED
    assert says in examination.outcomes["beauty"].reason


def test_the_entry_point_of_a_gate_called_as_one_of_ours_keeps_ours(registered):
    registered(bars=beauty(answer("info"), name="bars"))
    examination = examine(CHORALE)
    assert examination.outcomes["bars"].measures["bars.count"] == 10
    assert not examination.outcomes["bars-2"].judged


def example() -> dict[str, str]:
    """Return the files of the example in docs/gate.md, by name."""
    text = (ROOT / "docs" / "gate.md").read_text()
    section = text[text.index("## Add a gate") :]
    found = re.findall(r"`([\w./-]+)`:\n\n```\w*\n(.*?)```", section, re.DOTALL)
    return dict(found)


def install(folder: Path, module: str | None = None) -> None:
    """Lay the example out as pip would: its module beside the metadata of its distribution."""
    files = example()
    (folder / "pedals.py").write_text(files["pedals.py"] if module is None else module)
    points = re.search(
        r'\[project\.entry-points\."scoregate\.gates"\]\n(\w+) = "([\w.:]+)"',
        files["pyproject.toml"],
    )
    assert points is not None
    metadata = folder / "scoregate_pedals-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: scoregate-pedals\nVersion: 1.0\n"
    )
    (metadata / "entry_points.txt").write_text(f"[{registry.GROUP}]\n{points[1]} = {points[2]}\n")


ASK = """
import json, sys
from scoregate.validators import examine, registry
from scoregate.validators.checking import check_bytes, judge_version
long = open(sys.argv[1]).read()
checked = check_bytes("a.abc", long)
print(json.dumps({
    "gates": registry.names(),
    "titles": [measure.title for measure in registry.measures().values()][-1:],
    "status": examine(long).verdict().status,
    "reasons": checked.reasons,
    "measures": sorted(name for name in checked.measures if name.startswith("pedals.")),
    "judge": judge_version(None),
}))
"""
HELD = 'X:1\nM:4/4\nL:1/1\nQ:1/4=90\nK:C\nV:1 nm="Organ"\n' + "C-|" * 11 + "C|]\n"


def ask(folder: Path, text: str) -> dict:
    """Judge a text in a process that has the folder on its path."""
    piece = folder / "piece.abc"
    piece.write_text(text)
    code = f"import sys; sys.path.insert(0, {str(folder)!r}){ASK}"
    said = subprocess.run(
        [sys.executable, "-c", code, str(piece)], capture_output=True, text=True, check=True
    )
    return json.loads(said.stdout)


@pytest.mark.slow
def test_the_example_in_the_docs_adds_a_gate(tmp_path):
    install(tmp_path)
    seen = ask(tmp_path, HELD)
    assert seen["gates"][-1] == "pedals"
    assert seen["titles"] == ["Longest pedal"]
    assert "pedals.longest" in seen["measures"]
    assert seen["status"] == "rejected"
    assert seen["reasons"][-1] == "pedals: endless"
    assert "pedals 1;" in seen["judge"]
    assert ask(tmp_path, CHORALE)["status"] == "passed"


@pytest.mark.slow
def test_the_example_broken_on_import_lets_nothing_pass(tmp_path):
    install(tmp_path, "import a_module_that_nobody_has\n")
    seen = ask(tmp_path, CHORALE)
    assert seen["status"] == "could not be judged"
    (reason,) = seen["reasons"]
    assert "The gate 'pedals' of scoregate-pedals can't be used: ModuleNotFoundError" in reason


# --- the docs ---------------------------------------------------------------------------------


def table(page: str, heading: str) -> list[list[str]]:
    """Return the rows of the first table behind a heading of a page, its head left out."""
    text = (ROOT / page).read_text()
    lines = text[text.index(heading) :].split("\n")
    rows = [line for line in lines if line.startswith("|")]
    first = next(index for index, line in enumerate(lines) if line.startswith("|"))
    rows = []
    for line in lines[first:]:
        if not line.startswith("|"):
            break
        rows.append([cell.strip() for cell in line.strip("|").split("|")])
    return rows[2:]


def words(page: str) -> str:
    """Return the text of a page without its line ends."""
    return " ".join((ROOT / "docs" / f"{page}.md").read_text().split())


def test_gate_md_lists_the_gates():
    rows = table("docs/gate.md", "## The gates")
    gates = registry.gates()
    assert [row[0] for row in rows] == [f"`{gate.name}`" for gate in gates]
    assert [row[1] for row in rows] == [gate.asks for gate in gates]
    for row, gate in zip(rows, gates, strict=True):
        assert (ROOT / row[2].strip("`")).is_file()
        assert ("production" in row[3]) == gate.production_only


def test_measures_md_lists_the_measures():
    rows = table("docs/measures.md", "# Measures")
    assert [(row[0], row[1]) for row in rows] == [
        (f"`{measure.name}`", measure.title) for measure in registry.measures().values()
    ]


def test_thresholds_md_shows_the_bounds_that_hold():
    rows = {row[0].strip("`"): row[1:] for row in table("docs/thresholds.md", "## The thresholds")}
    bounds = thresholds.load().general.measures
    assert list(rows) == list(bounds)
    for name, (side, critical, warning, needed) in rows.items():
        bound = bounds[name]
        assert side == {"high": "at or above", "low": "at or below"}[bound.side], name
        for cell, value in ((critical, bound.critical), (warning, bound.warning)):
            assert cell == ("" if value is None else f"{value:g}"), name
        assert needed == ("yes" if bound.needed else ""), name


def test_the_readme_names_every_gate():
    text = (ROOT / "README.md").read_text()
    for gate in registry.gates():
        assert re.search(rf"^\| {gate.name} \|", text, re.MULTILINE), gate.name


def test_check_help_names_what_it_judges_by():
    from scoregate.flows.commands import check

    text = " ".join(check.HELP.split())
    for gate in registry.gates():
        assert re.search(rf"\b{gate.name}\b", text), gate.name


def test_the_numbers_in_the_docs_are_those_of_the_code():
    from scoregate.abc.finding_collector import MAX_FAULTS, MAX_PER_CODE
    from scoregate.abc.source_text import MAX_BYTES
    from scoregate.validators import abc2midi
    from scoregate.validators.gates.ranges import _MOST

    text = words("gate")
    assert f"At most {MAX_PER_CODE} findings with the same code" in text
    assert f"{MAX_BYTES // 2**20} MiB" in text
    assert f"{MAX_FAULTS:,} faults" in text
    text = words("ranges")
    assert f"At most {_MOST} findings" in text
    text = words("abc2midi")
    for limit in (
        f"{abc2midi.CPU_SECONDS} s of processor time",
        f"{abc2midi.WALL_SECONDS:.0f} s of elapsed time",
        f"{abc2midi.MEMORY_BYTES // 2**20} MiB of memory",
        f"{abc2midi.OUTPUT_BYTES // 2**20} MiB for each file",
        f"{abc2midi.TEXT_BYTES // 2**20} MiB of text",
        abc2midi.VARIABLE,
    ):
        assert limit in text, limit


@pytest.mark.slow
@pytest.mark.parametrize("page", ["gate", "thresholds", "measures", "ranges", "abc2midi"])
def test_every_module_and_file_that_the_docs_name_exists(page):
    text = (ROOT / "docs" / f"{page}.md").read_text()
    paths = re.findall(r"`((?:validators|benchmarks|scoregate|tests|docs)/[\w./-]+)`", text)
    links = [link for link in re.findall(r"\]\(([^)#]+)", text) if not link.startswith("http")]
    assert all((ROOT / path).exists() for path in paths), paths
    assert all((ROOT / "docs" / link).exists() for link in links), links
    for module, name in re.findall(r"`(scoregate(?:\.\w+)+)\.(\w+)(?:\(.*?\))?`", text):
        code = f"import importlib, sys; m = importlib.import_module({module!r})"
        found = subprocess.run(
            [sys.executable, "-c", f"{code}; sys.exit(not hasattr(m, {name!r}))"], check=False
        )
        in_package = ROOT / module.removeprefix("scoregate.").replace(".", "/") / f"{name}.py"
        assert found.returncode == 0 or in_package.is_file(), f"{module}.{name}"


def test_the_shipped_index_is_named_in_the_docs():
    text = (ROOT / "docs" / "thresholds.md").read_text()
    assert "scoregate novelty-index" in text
    assert novelty_index.SHIPPED.name in text
