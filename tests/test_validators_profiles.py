"""Profiles: what rejects a piece of one kind of music, as data, guessed or chosen."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from scoregate.convert import Conversion
from scoregate.errors import GateError, RequestError
from scoregate.flows import cli
from scoregate.validators import examine
from scoregate.validators.checking import Choice, check_bytes, judge_version
from scoregate.validators.verdict import profiles, thresholds

HEAD = "X:1\nT:t\nM:4/4\nL:1/8\nQ:1/4=90\nK:C\n"
SLURRED = HEAD + "C2-E2 G2-c2|B2A2 G2F2|E2D2 C2B,2|C8|]\n"
SHORT_END = HEAD + "C2D2 E2F2|G2A2 B2c2|d2c2 B2A2|c4|\n"
OLD_LINES = HEAD + "C2D2 E2F2|!\nG2A2\u00a0B2c2|!\nd2c2 B2A2|!\nc8|]!\n"


HALF_A_REPEAT = HEAD + "C2D2 E2F2|\n:G2A2 B2c2|d2c2 B2A2|c8:|\n"
FIRST_IN_A_LINE = HEAD + "C2D2 E2F2|!G2A2 B2c2|\nd2c2 B2A2|!c6 c2|c8|]\n"
OWN_SYMBOLS = HEAD + "kC2kD2 kE2kF2|k[GB]4k[Ac]4|kd2kc2 kB2kA2|kc8|]\n" * 3


MIDI = Conversion("", ".mid", "")


def strain(*bars: str) -> str:
    return "|".join(bars) + "|"


A = strain("c2B2 A2G2", "A2c2 B2d2", "e2d2 c2B2", "A4 G4")
B = strain("G2A2 B2c2", "d2B2 G2B2", "c2e2 d2f2", "e4 c4")
A_AGAIN = strain("c2B2 A2G2", "A2c2 B2d2", "e2d2 c2B2", "c4 c4")


def status(text: str, profile: str | None) -> str:
    return check_bytes("t", text, choice=Choice(profile=profile)).status.value


@pytest.mark.parametrize("text", [SLURRED, SHORT_END, OLD_LINES, FIRST_IN_A_LINE, HALF_A_REPEAT])
def test_what_collections_of_tunes_do_only_warns_in_them(text):
    assert status(text, "folk") == status(text, None) == status(text, "melody") == "passed"
    assert status(text, "notagen") == "rejected"
    checked = check_bytes("t", text)
    assert (checked.profile, checked.guessed) == ("folk", True)
    assert any(finding.severity == "warning" for finding in checked.findings)


def test_a_letter_before_many_notes_is_a_symbol_and_no_noise():
    checked = check_bytes("t", OWN_SYMBOLS)
    assert checked.status == "passed"
    assert [f.code for f in checked.findings].count("syntax.letter-unknown") == 3


@pytest.mark.parametrize(
    "fault",
    ["C2D2 E2F4|", "C2 2D2 E2F2|", "C2D2 (3E2F2|", "C2D2 [E2F2|", 'C2"am D2E2F2|', "C2^ D2E2F2|"],
)
def test_real_faults_reject_a_tune_in_every_profile_that_reads_bars(fault):
    text = HEAD + fault + "G2A2 B2c2|d2c2 B2A2|c8|]\n"
    assert {status(text, name) for name in ("folk", "melody", "notagen", "strict")} == {"rejected"}


def test_a_form_is_no_loop_and_a_loop_is_one():
    form = HEAD + A + A_AGAIN + B + B + "c8|]\n"
    assert status(form, "folk") == "passed"
    # Two strains that are nearly alike, each played twice, and then the tune stuck in a phrase.
    alike = HEAD + A + A_AGAIN + A + A_AGAIN + "c8|]\n"
    assert status(alike, "folk") == "passed"
    assert status(HEAD + A * 6 + "c8|]\n", "folk") == "rejected"
    assert status(HEAD + A + "c2B2 A2G2|" * 14 + "c8|]\n", "folk") == "rejected"
    # Eight bars of one figure reject a generated piece and not a tune.
    figure = HEAD + A + B + "c2B2 A2G2|d2B2 G2B2|" * 4 + "c8|]\n"
    assert (status(figure, "folk"), status(figure, "notagen")) == ("passed", "rejected")


def test_bars_of_early_music_are_no_measures():
    voices = 'V:1 treble nm="Superius"\nV:2 alto nm="Tenor"\n'
    text = f"X:1\nM:C|\nL:1/4\nQ:1/4=90\nK:F\n{voices}V:1\nc8d4|efga b8 c'4|c'16|]\n"
    text += "V:2\nF8B4|AFED C8 F4|F16|]\n"
    assert status(text, None) == "passed"
    checked = check_bytes("t", text)
    assert checked.profile == "early"
    assert not any(finding.gate == "bars" for finding in checked.findings)
    assert status(text, "notagen") == "rejected"


def test_a_part_without_barlines_is_early():
    part = HEAD.replace("Q:1/4=90\n", "") + "C16D8E8 F16G16\n" * 30 + "|]\n"
    checked = check_bytes("t", part)
    assert (checked.profile, checked.status) == ("early", "passed")
    # A tune whose barlines were forgotten is none.
    assert status(HEAD + "C2D2 E2F2 G2A2 B2c2 d2c2 B2A2 c8|]\n", None) == "rejected"


def test_a_tenor_of_a_motet_has_the_range_of_its_clef():
    voices = 'V:1 treble nm="Cantus"\nV:2 bass nm="Tenor"\n'
    low = f"X:1\nM:4/4\nL:1/4\nQ:1/4=90\nK:C\n{voices}[V:1]cdef|[V:2]F,,G,,A,,B,,|\n"
    low += "[V:1]c4|][V:2]F,,4|]\n"
    assert status(low, "early") == "passed"
    assert status(low, "notagen") == "rejected"


def test_a_performance_is_judged_by_its_notes_alone():
    text = HEAD + "V:1\nC2-E2 G2|B9|C|]\n"
    checked = check_bytes("t", text, conversion=MIDI)
    assert (checked.profile, checked.status) == ("midi", "passed")
    assert set(checked.gates) == {"syntax", "ranges", "repetition", "measures"}
    too_high = HEAD.replace("K:C\n", 'K:C\nV:1 nm="Flute"\n') + "C,,,2E2 G2|\n"
    assert check_bytes("t", too_high, conversion=MIDI).status == "rejected"
    assert check_bytes("t", "", conversion=MIDI).status != "passed"


def test_strict_rejects_what_a_copy_editor_marks():
    text = HEAD + "(C2D2 E2F2|G2A2 B2c2|d2c2 B2A2|c8|\n"
    assert status(text, "notagen") == "passed"
    assert status(text, "strict") == "rejected"


def test_a_models_text_is_judged_as_ever():
    text = "%a\n%b\n%c\nM:4/4\nL:1/4\nK:C\nV:1\n[r:0/0][V:1]C-DEF|]\n"
    checked = check_bytes("t", text)
    assert (checked.profile, checked.status) == ("notagen", "rejected")
    plain = examine(text, profile="notagen")
    assert plain.thresholds is thresholds.load()


def test_codes_of_ones_own_warn_or_are_left_out():
    text = SLURRED.replace("C8|]", "C9|]")
    assert status(text, "folk") == "rejected"
    warn = Choice(profile="folk", warn=("bars.too-long",))
    assert check_bytes("t", text, choice=warn).status == "passed"
    off = Choice(profile="folk", off=("bars.*", "syntax.tie-dangling"))
    checked = check_bytes("t", text, choice=off)
    assert checked.status == "passed"
    assert not any(f.code in ("syntax.tie-dangling", "bars.too-long") for f in checked.findings)


def test_a_loop_that_only_warns_rejects_by_no_threshold_either():
    text = HEAD + A * 6 + "c8|]\n"
    for code in ("repetition.loop", "repetition.loop_share"):
        choice = Choice(profile="folk", warn=(code,))
        assert check_bytes("t", text, choice=choice).status == "passed", code


def test_thresholds_of_ones_own(tmp_path: Path):
    own = Path(thresholds.__file__).with_name("thresholds.toml").read_text()
    path = tmp_path / "mine.toml"
    path.write_text(own.replace("critical = 0.25", "critical = 0.99"))
    text = HEAD + A * 3 + B * 3 + "c8|]\n"
    assert status(text, "notagen") == "rejected"
    choice = Choice(profile="notagen", thresholds=str(path))
    checked = check_bytes("t", text, choice=choice)
    assert checked.status == "passed"
    assert not [f for f in checked.findings if f.gate == "repetition" and f.severity == "critical"]
    assert judge_version(None, choice=choice) != judge_version(None, choice=Choice("notagen"))
    path.write_text("version = '1'\n")
    with pytest.raises(GateError, match="names no gate"):
        Choice(thresholds=str(path)).check()
    with pytest.raises(GateError, match="can't be read"):
        Choice(thresholds=str(tmp_path / "none.toml")).check()


def test_screening_judges_again_under_another_profile():
    versions = {judge_version(None, choice=Choice(name)) for name in profiles.names()}
    versions.add(judge_version(None))
    versions.add(judge_version(None, choice=Choice("folk", off=("bars.metre",))))
    assert len(versions) == len(profiles.names()) + 2


def test_what_is_no_profile_and_no_code_is_said():
    with pytest.raises(RequestError, match="no profile 'folks'") as raised:
        examine(HEAD + "C8|]", profile="folks")
    assert "Did you mean 'folk'?" in (raised.value.remedy or "")
    with pytest.raises(RequestError, match="no code"):
        examine(HEAD + "C8|]", off=["bars"])


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("[x]\nabout = ''\n", "does not say what it is for"),
        ("[x]\nabout = 'a'\n[[x.rules]]\ncodes = ['a.b']\nseverity = 'off'\n", "gives no reason"),
        ("[x]\nabout = 'a'\n[[x.rules]]\ncodes = []\nseverity = 'no'\nreason = 'r'\n", "needs"),
        ("[x]\nabout = 'a'\nrule = 1\n", "unknown keys: rule"),
        ("[x", "no TOML"),
    ],
)
def test_a_file_of_profiles_must_be_right(text, fault):
    with pytest.raises(GateError, match=fault):
        profiles.parse(text)


def test_every_code_of_a_rule_exists():
    """A rule on a code that no gate gives would never do anything."""
    source = "".join(
        path.read_text()
        for folder in ("validators/gates", "scoregate/abc")
        for path in (Path(__file__).parents[1] / folder).glob("*.py")
    )
    for profile in profiles.load().values():
        for rule in profile.rules:
            for code in rule.codes:
                name = code.partition(".")[2]
                known = name == "*" or f'"{name}"' in source or f'"{code}"' in source
                assert known or name.startswith("abc2midi-"), code


@pytest.mark.slow
def test_check_names_the_profile_it_guessed(tmp_path):
    path = tmp_path / "tune.abc"
    path.write_text(SLURRED)
    run = CliRunner().invoke
    assert "judged as folk" in run(cli.app, ["check", str(path)]).output
    answer = json.loads(run(cli.app, ["check", str(path), "--json"]).stdout)
    assert (answer["profile"], answer["profile_guessed"]) == ("folk", True)
    asked = run(cli.app, ["check", str(path), "--profile", "notagen", "--json"])
    assert asked.exit_code == 1
    warned = ["check", str(path), "--profile", "notagen", "--warn", "syntax.tie-dangling"]
    assert run(cli.app, warned).exit_code == 0
