"""Scores to interleaved ABC: what converts, what is lost, and how the corpus is split."""

import zipfile

import pytest

from scoregate.convert.abc_text import read_abc
from scoregate.convert.chorale import as_chorale
from scoregate.convert.files import convert_file
from scoregate.convert.piece import ConversionError, aligned, piece_text
from scoregate.errors import InputError, UnreadableError
from scoregate.notagen.training.corpus import collect, folder_files, split, tune_groups
from scoregate.notagen.training.project import collect_scores

NOTE = (
    "<note><pitch><step>{}</step><octave>{}</octave></pitch><duration>4</duration>"
    "<voice>1</voice><type>whole</type></note>"
)
PART = """<part id="P{n}"><measure number="1"><attributes><divisions>1</divisions>
<key><fifths>1</fifths></key><time><beats>4</beats><beat-type>4</beat-type></time>
<clef><sign>G</sign><line>2</line></clef></attributes>{note}</measure></part>"""


def musicxml(steps="CEGC", octaves="5443"):
    names = ("Soprano", "Alto", "Tenor", "Bass")
    parts = "".join(
        f'<score-part id="P{i}"><part-name>{name}</part-name></score-part>'
        for i, name in enumerate(names, 1)
    )
    bodies = "".join(
        PART.format(n=i, note=NOTE.format(s, o))
        for i, (s, o) in enumerate(zip(steps, octaves, strict=True), 1)
    )
    return (
        '<?xml version="1.0" encoding="UTF-8"?><score-partwise version="3.1"><part-list>'
        f"{parts}</part-list>{bodies}</score-partwise>"
    )


def test_musicxml_becomes_a_chorale(tmp_path):
    (tmp_path / "a.musicxml").write_text(musicxml())
    assert piece_text(as_chorale(convert_file(tmp_path / "a.musicxml"))) == (
        "%%score [ 1 2 3 4 ]\nL:1/8\nQ:1/4=80\nM:4/4\nK:G\n"
        'V:1 treble nm="Soprano"\nV:2 treble nm="Alto"\nV:3 bass nm="Tenor"\nV:4 bass nm="Bass"\n'
        "[V:1]c8|][V:2]E8|][V:3]G8|][V:4]C,8|]\n"
    )


def test_a_zipped_score_reads_like_the_plain_one(tmp_path):
    (tmp_path / "a.xml").write_text(musicxml())
    with zipfile.ZipFile(tmp_path / "b.mxl", "w") as archive:
        archive.writestr("score.xml", musicxml())
    plain, zipped = (piece_text(convert_file(tmp_path / n)) for n in ("a.xml", "b.mxl"))
    assert plain == zipped


def test_voices_one_after_another_are_interleaved():
    abc = "X:1\nL:1/8\nM:4/4\nK:Amin\nV:1\nV:2\nV:1\nA8|c8|\nV:2\nA,8|E,8|]\n"
    assert piece_text(aligned(read_abc(abc, "x"))).splitlines()[-2:] == [
        "[V:1]A8|[V:2]A,8|",
        "[V:1]c8|[V:2]E,8|]",
    ]


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("[V:1]A8|[V:2]A,6|\n", "bar 1: voices of unequal length (8, 6 of L:)"),
        ("[V:1]A8|c8|[V:2]A,8|\n", "voices differ in their number of bars"),
        ("", "holds no music"),
    ],
)
def test_a_piece_with_unequal_voices_is_a_loss(body, reason):
    with pytest.raises(ConversionError) as caught:
        aligned(read_abc(f"X:1\nL:1/8\nM:4/4\nK:C\nV:1\nV:2\n{body}", "x"))
    assert reason in str(caught.value)


def test_losses_are_named_and_the_rest_converts(tmp_path):
    (tmp_path / "good.musicxml").write_text(musicxml())
    (tmp_path / "same.musicxml").write_text(musicxml())
    (tmp_path / "broken.musicxml").write_text("<score-partwise><part")
    (tmp_path / "zip.mxl").write_bytes(b"PK\x03\x04 no archive")
    (tmp_path / "entity.xml").write_text('<!DOCTYPE x [<!ENTITY a "b">]><score-partwise/>')
    corpus = collect(folder_files(tmp_path))
    assert list(corpus.texts) == ["good.musicxml"]
    reasons = {loss.name: loss.reason for loss in corpus.losses}
    assert sorted(reasons) == ["broken.musicxml", "entity.xml", "same.musicxml", "zip.mxl"]
    assert reasons["same.musicxml"] == "the same music as another file"
    assert reasons["entity.xml"] == "declares XML entities"


def test_a_folder_without_scores_is_refused(tmp_path):
    (tmp_path / "notes.txt").write_text("no score")
    with pytest.raises(UnreadableError, match="holds no scores"):
        folder_files(tmp_path)
    with pytest.raises(UnreadableError, match="is no folder"):
        folder_files(tmp_path / "missing")


def test_too_few_scores_are_refused_with_the_reasons(tmp_path):
    (tmp_path / "broken.abc").write_text("X:1\nK:C\n")
    with pytest.raises(InputError, match=r"Only 0 of 1 scores .* broken\.abc: holds no music"):
        collect_scores(tmp_path, tmp_path / "work")


def test_an_unknown_corpus_names_the_known_ones(tmp_path):
    with pytest.raises(UnreadableError) as raised:
        collect_scores("bach", tmp_path)
    assert "bach-chorales, or fiddle-tunes" in raised.value.remedy


def tune(notes, key="C"):
    head = f"%%score [ 1 2 ]\nL:1/8\nM:4/4\nK:{key}\nV:1\nV:2\n"
    bars = [notes[i : i + 4] for i in range(0, len(notes), 4)]
    return head + "".join(f"[V:1]{' '.join(n + '2' for n in bar)}|[V:2]C,8|\n" for bar in bars)


def test_settings_of_one_tune_stay_together_in_any_key():
    texts = {
        "a": tune("CDEFGABcCEGcGECC"),
        "b": tune("DEFGABcdDFAdAFDD".replace("F", "F"), "D"),
        "c": tune("cBAGFEDCCCDDEEFF"),
        "d": tune("GGFFEEDDCDECDECC"),
    }
    assert tune_groups(texts) == [["a", "b"], ["c"], ["d"]]
    sides = split(texts)
    assert sorted(sides.train + sides.validation + sides.test) == ["a", "b", "c", "d"]
    assert sides == split(dict(reversed(texts.items())))
