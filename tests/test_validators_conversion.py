"""MusicXML and Humdrum: what is the score's fault, and what is the converter's."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from scoregate.convert import Conversion
from scoregate.convert.formats import convert, to_abc
from scoregate.convert.musicxml_facts import read_facts
from scoregate.flows import cli
from scoregate.validators.checking import check_bytes


def note(step: str, quarters: int, *, tie: str = "", rest: bool = False) -> str:
    what = "<rest/>" if rest else f"<pitch><step>{step}</step><octave>4</octave></pitch>"
    ties = "".join(f'<tie type="{kind}"/>' for kind in tie.split())
    kind = {1: "quarter", 2: "half", 4: "whole"}.get(quarters, "quarter")
    notations = "".join(f'<tied type="{kind}"/>' for kind in tie.split())
    return (
        f"<note>{what}<duration>{quarters}</duration>{ties}<voice>1</voice><type>{kind}</type>"
        f"<notations>{notations}</notations></note>"
    )


def score(*parts: list[str], name: str = "Violin") -> str:
    """Return MusicXML in 4/4; each measure is the text of its notes."""
    begin = (
        "<attributes><divisions>1</divisions><key><fifths>0</fifths></key><time><beats>4</beats>"
        "<beat-type>4</beat-type></time><clef><sign>G</sign><line>2</line></clef></attributes>"
    )
    listed = "".join(
        f'<score-part id="P{n}"><part-name>{name} {n}</part-name></score-part>'
        for n in range(len(parts))
    )
    written = "".join(
        f'<part id="P{n}">'
        + "".join(
            f'<measure number="{m}">{begin if m == 1 else ""}{notes}</measure>'
            for m, notes in enumerate(measures, 1)
        )
        + "</part>"
        for n, measures in enumerate(parts)
    )
    return (
        f'<score-partwise version="3.1"><part-list>{listed}</part-list>{written}</score-partwise>'
    )


WHOLE = note("C", 4)
SOUND = [WHOLE, note("D", 2) + note("E", 2), WHOLE]


def judged(xml: str, spoil=lambda abc: abc):
    made = convert(xml.encode(), ".musicxml", "mine")
    abc = spoil(made.abc)
    return check_bytes("mine", abc, conversion=Conversion(abc, made.ending, made.musicxml))


def test_a_sound_score_passes_as_a_score():
    checked = judged(score(SOUND, SOUND))
    assert (checked.status, checked.profile, checked.guessed) == ("passed", "score", True)


def test_a_bar_that_is_short_in_the_score_is_the_scores_fault():
    short = [WHOLE, note("D", 2) + note("E", 1), WHOLE]
    checked = judged(score(SOUND, short))
    assert checked.status == "rejected"
    (fault,) = [f for f in checked.findings if f.severity == "critical"]
    assert (fault.code, fault.bar, fault.part) == ("bars.voices-disagree", 2, "Violin 1")


def test_a_bar_that_only_the_conversion_shortens_is_the_converters():
    checked = judged(score(SOUND, SOUND), lambda abc: abc.replace("D4 E4", "D4 E3", 1))
    assert checked.status == "passed"
    (said,) = [f for f in checked.findings if f.code == "bars.voices-disagree"]
    assert said.severity == "warning"
    assert said.message.startswith("in the ABC that was made of the score, not in the score")


@pytest.mark.parametrize("rubbish", ["D4 2 E4", "D4 x14/3 E4{", "(1:1:3D4 E4", "D4 E4 |0,1,5"])
def test_what_only_a_converter_writes_is_the_converters(rubbish):
    checked = judged(score(SOUND, SOUND), lambda abc: abc.replace("D4 E4", rubbish, 1))
    assert not any(f.gate == "syntax" and f.severity == "critical" for f in checked.findings)


def test_a_tie_without_its_note_is_the_scores_and_one_that_is_lost_the_converters():
    held = [note("C", 4, tie="start"), note("C", 4, tie="stop"), WHOLE]
    assert judged(score(held, SOUND)).status == "passed"
    loose = [note("C", 4, tie="start"), note("D", 4), WHOLE]
    assert "syntax: tie dangling" in judged(score(loose, SOUND)).reasons
    lost = judged(score(held, SOUND), lambda abc: abc.replace("C8- | C8", "C8- | D8", 1))
    assert lost.status == "passed"


def test_a_part_that_rests_has_one_rest_whatever_its_length():
    twice = [note("", 4, rest=True) * 2, note("", 4, rest=True) * 2, WHOLE]
    assert judged(score(SOUND, twice)).status == "passed"


def test_a_line_break_in_the_name_of_a_part_goes():
    abc = to_abc(score(SOUND, name="\n\t:Violin\n\t(solo)").encode(), ".musicxml", "mine")
    assert 'nm="Violin (solo) 0"' in abc
    group = "<part-group type='start' number='1'><group-name>\n\t</group-name></part-group>"
    grouped = score(SOUND).replace("<part-list>", f"<part-list>{group}")
    assert 'nm="Violin 0"' in to_abc(grouped.encode(), ".musicxml", "mine")


def test_facts_of_a_score():
    facts = read_facts(score(SOUND, [WHOLE, note("D", 2), WHOLE]))
    assert facts is not None
    assert [facts.agree(number) for number in (1, 2, 3, 4)] == [True, False, True, False]
    assert facts.is_full(1)
    assert not facts.is_full(2)
    assert read_facts("<score-partwise>") is None


KERN = "**kern\t**kern\n*clefF4\t*clefG2\n*M4/4\t*M4/4\n=1\t=1\n1C\t2c\n.\t2e\n=2\t=2\n1G\t{}\n"
KERN += "==\t==\n*-\t*-\n"


@pytest.mark.slow
def test_check_reads_humdrum_and_packed_musicxml(tmp_path: Path):
    import zipfile

    good, bad = tmp_path / "good.krn", tmp_path / "bad.krn"
    good.write_text(KERN.format("1g"))
    bad.write_text(KERN.format("[1g"))
    packed = tmp_path / "packed.mxl"
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("score.xml", score(SOUND, SOUND))
    noise = tmp_path / "noise.krn"
    noise.write_text("nothing\n")
    words = ["check", str(good), str(bad), str(packed), str(noise), "--json"]
    run = CliRunner().invoke(cli.app, words)
    rows = [json.loads(line) for line in run.stdout.splitlines()]
    statuses = [row["status"] for row in rows]
    assert statuses == ["passed", "rejected", "passed", "could not be judged"]
    assert "no spine of **kern" in rows[3]["reasons"][0]
