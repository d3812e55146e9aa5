"""The form of a piece as a line of its header: written, read, and read off a piece's fermatas."""

import pytest

from scoregate.abc import read
from scoregate.errors import RequestError
from scoregate.form import DEGREES, Form, Phrase, form_in, parse_form, without_form
from scoregate.notagen.text.forced import header_rank, read_forced_text
from scoregate.notagen.text.patches import encode
from scoregate.notagen.training.forms import form_of
from scoregate.notagen.training.stream import crop, stream_text
from scoregate.requests import ProduceRequest

STYLE = ("Baroque", "Bach, Johann Sebastian", "Choral")
WORDS = "A8V:h B7.5i A8V:h C10bIII C4?:o D6#iv:p"


def piece(*voices: str, key: str = "C") -> str:
    """Return interleaved ABC of voices whose bars are divided by ``|``."""
    bars = [voice.split("|") for voice in voices]
    head = f"L:1/8\nM:4/4\nK:{key}\n" + "".join(f"V:{v}\n" for v in range(1, len(voices) + 1))
    lines = (
        "".join(f"[V:{v}]{voice[at].strip()}|" for v, voice in enumerate(bars, 1))
        for at in range(len(bars[0]))
    )
    return head + "\n".join(lines) + "\n"


def test_a_form_is_read_as_it_is_written():
    form = parse_form(WORDS)
    assert str(form) == WORDS
    assert form.lines == "%form/1 6 2\n%A8V:h\n%B7.5i\n%A8V:h\n%C10bIII\n%C4?:o\n%D6#iv:p\n"
    assert parse_form(form.lines) == form == form_in(f"%Choral\n%end\nK:C\n{form.lines}[V:1]C|\n")
    assert without_form(f"K:C\n{form.lines}[V:1]C|\n") == "K:C\n[V:1]C|\n"
    assert form.phrases[1] == Phrase("B", 7.5, 0, False, "authentic")
    assert form.phrases[3] == Phrase("C", 10.0, 3, True, "authentic")
    assert form.phrases[4] == Phrase("C", 4.0, None, True, "other")
    assert form.phrases[5] == Phrase("D", 6.0, 6, False, "plagal")
    assert [form.first_of(number) for number in range(6)] == [None, None, 0, None, 3, None]


@pytest.mark.parametrize("major", [True, False])
def test_every_degree_has_a_name_of_its_own(major):
    forms = {str(Form((Phrase("A", 8.0, degree, major),))) for degree in range(12)}
    assert len(forms) == len(DEGREES)
    for words in forms:
        assert str(parse_form(words)) == words


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("A8", "'A8', which is no phrase"),
        ("8I", "'8I'"),
        ("A8I B0V", "'B0V'"),
        ("A8I B8bV", "'B8bV'"),
        ("A8I B8IIX", "'B8IIX'"),
        ("A8I B100V", "'B100V'"),
        ("A8I B8V:x", "'B8V:x'"),
        ("A8I <b>", "'<b>'"),
        ("", "0 phrases"),
        (" ".join(["A8I"] * 27), "27 phrases"),
        ("%form/2 1 0\n%A8I", "version 2"),
        ("%form/1 3\n%A8I\n%B8I", "first line says 3, and it has 2 phrases"),
        ("%form/1 2 1\n%A8I\n%B8I", "says 2 1, and it has 2 phrases, of which 0 return"),
        ("%form/1", "0 phrases"),
        ("%form/", "one of version ;"),
        ("%form/1 1\n%A8I\n%form/1 1\n%A8I", "'form/1'"),
    ],
)
def test_what_is_no_form_is_refused_and_said(words, said):
    with pytest.raises(RequestError, match=said) as caught:
        parse_form(words)
    assert "docs/model.md#form" in caught.value.remedy


def test_a_line_that_a_model_wrote_wrongly_counts_as_none():
    assert form_in("L:1/8\nK:C\n") is None
    assert form_in("%form/1 2\n%A8I\n%B8\n[r:0/1]") is None
    assert form_in("%form/7 2\n%A8I\n%B8I\n[r:0/1]") is None
    assert form_in("T:x %form/1 1\n%A8I\n") is None
    assert form_in("%form/1 2\n[r:0/1]") is None
    for said in ("", " 1", " 2", " 3 0", " 2 1", " 2 0 x"):  # whatever it said before
        assert str(form_in(f"%form/1{said}\n%A8I\n%B8I\n[r:0/1]")) == "A8I B8I"


def test_fermatas_degrees_kinds_and_returns_of_a_piece():
    """Half cadence, authentic one in the relative minor, return of the first, authentic end."""
    text = piece(
        "C2 E2 G2 E2|D4 !fermata!D4|E2 F2 E2 ^G2|!fermata!A8|"
        "C2 E2 G2 E2|D4 !fermata!D4|C2 E2 D2 B,2|!fermata!C8",
        "G,2 G,2 C2 C2|A,4 B,4|C2 D2 C2 D2|C8|G,2 G,2 C2 C2|A,4 B,4|G,2 G,2 G,2 G,2|G,8",
        "E,2 C,2 E,2 G,2|^F,4 G,4|G,2 A,2 A,2 B,2|E,8|E,2 C,2 E,2 G,2|^F,4 G,4|E,2 C,2 F,2 F,2|E,8",
        "C,2 C,2 C,2 C,2|D,4 G,,4|C,2 F,,2 A,,2 E,,2|A,,8|"
        "C,2 C,2 C,2 C,2|D,4 G,,4|C,2 C,2 G,,2 G,,2|C,8",
    )
    # D major before G is its dominant: an authentic cadence on the fifth degree.
    assert str(form_of(text)) == "A6V B6vi A10V C6I"


def test_a_piece_without_two_phrases_has_no_form():
    assert form_of(piece("C8|D8|E8|C8")) is None
    assert form_of("L:1/8\nK:C\n") is None


def test_the_form_ends_the_header_and_leaves_with_a_stretch():
    text = piece("C4 !fermata!E4|D4 !fermata!C4|C4 !fermata!E4|D4 !fermata!C4")
    form = form_of(text)
    assert form is not None
    whole = stream_text(text, STYLE, form)
    assert f"K:C\nV:1\n{form.lines}[r:0/3]" in whole
    assert stream_text(text, STYLE) == whole.replace(form.lines, "")
    room = len(encode(whole, finished=True)) - 2
    beginning, end = (crop(whole, room, at) for at in (0.0, 1.0))
    assert form.lines in beginning
    assert "[r:0/3]" in beginning
    assert "[r:3/0]" not in beginning
    assert "%form" not in end
    assert without_form(end) == end
    assert "[r:3/0]" in end
    assert "[r:0/3]" not in end


def test_readers_take_the_line_for_a_comment():
    text = piece("C4 !fermata!E4|D4 !fermata!C4")
    form = parse_form("A6V B8I")
    plain, formed = (
        read("X:1\n" + text.replace("[V:1]C4", lines + "[V:1]C4")) for lines in ("", form.lines)
    )
    assert [finding.code for finding in plain.findings] == [f.code for f in formed.findings]
    pitches = [
        [[event.pitches for event in bar.events] for voice in score.voices for bar in voice.bars]
        for score in (plain, formed)
    ]
    assert pitches[0] == pitches[1] == [[(60,), (64,)], [(62,), (60,)]]


FORM = "%form/1 2 0\n%A8I\n%B8I\n"
HEAD = "%%score { 1 2 }\nL:1/8\nM:4/4\nK:C\nV:1\nV:2\n"


def test_a_forced_form_stands_last_in_the_header():
    forced = read_forced_text("%form/1 2\n%A8I\n%B08V\nM:3/4\n", prompted=True)
    assert forced.fields == ("M:3/4\n", "%form/1 2 0\n%A8I\n%B8V\n")
    assert header_rank("V:99\n") < header_rank(forced.fields[1]) < header_rank("[V:1]C|\n")
    with pytest.raises(RequestError, match="no phrase"):
        read_forced_text("%form/1 1\n%A8I\n%form/1 1\n%B8I", prompted=True)
    whole = read_forced_text(FORM + HEAD + "[V:1]C8|[V:2]E,8|\n", prompted=True)
    assert whole.header == "%end\n" + HEAD + FORM


def test_a_request_takes_a_form_in_its_shortest_writing():
    plain, formed = ProduceRequest(), ProduceRequest(form="%form/1 2\n%A8I\n%B08V\n")
    assert formed.form == "A8I B8V"
    assert plain.key != formed.key
    assert plain.key == ProduceRequest(form="  ").key
    with pytest.raises(ValueError, match="no phrase"):
        ProduceRequest(form="verse")
    with pytest.raises(ValueError, match="lstm can't be given a form"):
        ProduceRequest(model="lstm", form="A8I")
