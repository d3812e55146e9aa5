"""MusicXML and engraving: the quirks that were mended, and texts that mean harm."""

import re
from pathlib import Path
from xml.etree import ElementTree

import pytest

from scoregate.abc.reader import read
from scoregate.findings import Finding
from scoregate.render.engrave import NotEngravable, engrave
from scoregate.render.marks import Mark, marks_of
from scoregate.render.musicxml import NotConvertible, cleaned_abc, to_musicxml

HEAD = "X:1\nL:1/4\nM:4/4\nK:C\n"
DUET = HEAD + 'V:1 treble nm="A"\nV:2 bass nm="B"\n[V:1]CDEF|[V:2]C,4|\n[V:1]G4|][V:2]G,4|]\n'
REAL = Path(__file__).parents[2] / "shared" / "real-notagen"


def parts(text: str) -> list[ElementTree.Element]:
    return ElementTree.fromstring(to_musicxml(text)).findall("part")


def pitches(part: ElementTree.Element) -> str:
    return "".join(
        f"{note.findtext('pitch/step')}{note.findtext('pitch/octave')}"
        for note in part.iter("note")
        if note.find("pitch") is not None
    )


@pytest.mark.parametrize(
    ("setting", "chromatic", "octaves"),
    [("-2", "-2", None), ("+2", "2", None), ("-8", "-8", None), ("8", "8", None),
     ("-14", "-2", "-1"), ("12", "0", "1"), ("-18", "-6", "-1"), ("15", "3", "1")],
)  # fmt: skip
def test_a_transposition_is_never_an_octave_clef(setting, chromatic, octaves):
    (part,) = parts(HEAD + f"V:1 treble transpose={setting}\n[V:1]C4|]\n")
    assert part.findtext(".//transpose/chromatic") == chromatic
    assert part.findtext(".//transpose/octave-change") == octaves
    assert part.find(".//clef-octave-change") is None
    assert pitches(part) == "C4"


def test_an_octave_clef_stays_one():
    (part,) = parts(HEAD + "V:1 treble-8\n[V:1]C4|]\n")
    assert part.findtext(".//clef-octave-change") == "-1"
    assert pitches(part) == "C3"


def test_the_key_of_a_transposing_part_is_in_the_first_attributes():
    (part,) = parts(HEAD + "V:1 treble transpose=-2\n[V:1][K:D]C4|]\n")
    (attributes,) = part.findall("measure/attributes")
    assert [key.text for key in attributes.findall("key/fifths")] == ["2"]
    assert [child.tag for child in attributes] == ["divisions", "key", "time", "clef", "transpose"]


def test_the_clef_of_a_lower_staff_is_in_the_first_attributes():
    head = HEAD.replace("K:", "%%score { 1 | 2 }\nK:") + 'V:1 treble nm="P"\nV:2 bass\n'
    (part,) = parts(head + "[V:1]C4|][V:2]C,4|]\n")
    (attributes,) = part.findall("measure/attributes")
    signs = [(clef.get("number"), clef.findtext("sign")) for clef in attributes.findall("clef")]
    assert signs == [("1", "G"), ("2", "F")]


def test_a_literal_newline_in_a_name_is_a_space():
    xml = to_musicxml(HEAD + 'V:1 treble nm="Singstimme\\nVoice"\n[V:1]C4|]\n').decode()
    assert "<part-name>Singstimme Voice</part-name>" in xml


def test_a_voice_without_a_clef_gets_one():
    (part,) = parts(HEAD + "CDEF|]\n")
    assert part.findtext(".//clef/sign") == "G"
    head = HEAD.replace("K:", "%%score { 1 | 2 }\nK:") + 'V:1 nm="P"\nV:2\n'
    grand = parts(head + "[V:1]C4|][V:2]E4|]\n")
    assert [clef.get("number") for clef in grand[0].iter("clef")] == ["1", "2"]


def test_parts_of_a_large_score_have_short_names():
    text = HEAD + "".join(f'V:{n} treble nm="Violoncello {n}"\n' for n in (1, 2, 3))
    text += "".join(f"[V:{n}]C4|]" for n in (1, 2, 3)) + "\n"
    assert to_musicxml(text).count(b"<part-abbreviation>Violon. ") == 3


def test_the_same_text_gives_the_same_bytes():
    first = to_musicxml(DUET)
    assert first == to_musicxml(DUET)
    assert b"encoding-date" not in first
    assert engrave(first).pages == engrave(first).pages


def test_durations_are_written_in_the_coarsest_divisions():
    (part,) = parts(HEAD + "CD(3E/F/G/ A|]\n")
    durations = [int(note.findtext("duration") or 0) for note in part.iter("note")]
    assert durations == [3, 3, 1, 1, 1, 3]
    assert part.findtext(".//divisions") == "3"


@pytest.mark.parametrize(
    "text",
    ["", "X:1\n", HEAD, "\x00", HEAD + "V:1\n", "X:1\nT:%%score\n", HEAD + "CDEF|Z9999|]\n"],
)
def test_a_text_without_music_cannot_be_converted(text):
    with pytest.raises(NotConvertible):
        to_musicxml(text)


@pytest.mark.parametrize(
    "metre",
    ["__import__('os').mkdir('{}')/4", "(lambda:0)()/4", "9**9**9/4", "[x for x in ()]/4"],
)
@pytest.mark.parametrize("place", ["M:{}\n", "[M:{}]"])
def test_a_metre_is_arithmetic_and_nothing_else(tmp_path, metre, place):
    trap = tmp_path / "made"
    field = place.format(metre.format(trap))
    text = HEAD.replace("K:", field + "K:") if "\n" in field else HEAD + field
    to_musicxml(text + "CDEF|]\n")
    assert not trap.exists()
    assert "import" not in cleaned_abc(text)[0]


def test_no_file_is_opened_for_a_text(tmp_path):
    (tmp_path / "secret.abc").write_text("T:the secret\n")
    text = f"X:1\n%%abc-include {tmp_path}/secret.abc\nI:abc-include {tmp_path}/secret.abc\n"
    assert b"secret" not in to_musicxml(text + HEAD[4:] + "CDEF|]\n")


def test_text_from_anyone_stays_text():
    name = "<script>alert(1)</script>&lt;"
    xml = to_musicxml(HEAD + f'V:1 treble nm="{name}"\n[V:1]"^{name}"C4|]\n')
    (page,) = engrave(xml).pages
    assert "<script" not in page
    assert "alert(1)" in page


def test_a_page_is_standalone():
    (page,) = engrave(to_musicxml(HEAD.replace("K:", "Q:1/4=60\nK:") + "CDEF|]\n")).pages
    root = ElementTree.fromstring(page)
    assert root.get("class") == "engraving"
    assert not re.search(r"https?://(?!www\.w3\.org/2000/svg\")", page)
    assert "url(" not in page
    assert len(page) < 40_000
    used = set(re.findall(r'href="#(\w+)"', page))
    assert used == set(re.findall(r'<g id="(\w+)"', page))
    assert "ECA5" in used


def test_a_metronome_mark_stands_clear_of_the_staff():
    (page,) = engrave(to_musicxml(HEAD.replace("K:", "Q:1/4=60\nK:") + "CDEF|]\n")).pages
    note = re.search(r'href="#ECA5" transform="translate\(\d+ (-?\d+)\)', page)
    staff = re.search(r'class="staff"><path d="M\d+ (\d+)H', page)
    assert note
    assert staff
    assert int(staff[1]) - int(note[1]) >= 250


def test_a_dotted_metronome_mark_is_drawn_in_a_row():
    (page,) = engrave(to_musicxml(HEAD.replace("K:", "Q:3/8=60\nK:") + "CDEF|]\n")).pages
    places = re.findall(r'href="#(ECA5|ECB7)" transform="translate\((\d+) (\d+)\)', page)
    assert [name for name, _, _ in places] == ["ECA5", "ECB7"]
    assert places[0][2] == places[1][2]
    assert 100 < int(places[1][1]) - int(places[0][1]) < 600
    text = re.search(r'<text x="(\d+)"[^>]*>(?:<tspan[^>]*/?>|</tspan>)*\s*=', page)
    assert text
    assert int(text[1]) > int(places[1][1])
    assert "@font-face" not in page


@pytest.mark.parametrize("content", [b"", b"<", b"<a/>", b"<score-partwise/>"])
def test_what_is_no_musicxml_is_refused(content):
    with pytest.raises(NotEngravable):
        engrave(content)


def boxes(page: str) -> list[tuple[str, float]]:
    """Class of each box and its height above the middle of the page (staves from the top)."""
    root = ElementTree.fromstring(page)
    return [
        (rect.get("class") or "", float(rect.get("y") or 0))
        for rect in root.iter("{http://www.w3.org/2000/svg}rect")
        if "mark" in (rect.get("class") or "")
    ]


def test_a_failing_bar_is_boxed_on_its_staff():
    score = read(DUET)
    finding = Finding("bars", "bars.x", "critical", "<b>short</b>", voice="2", bar=2)
    marks = marks_of(score, [finding])
    assert marks == [Mark(2, 1, "critical", "bars: <b>short</b>")]
    engraving = engrave(to_musicxml(DUET), marks)
    assert engraving.bars == 2
    (box,) = boxes(engraving.pages[0])
    above = boxes(engrave(to_musicxml(DUET), [Mark(2, 0, "warning", "")]).pages[0])
    assert box[0] == "mark"
    assert above == [("mark warning", above[0][1])]
    assert above[0][1] < box[1]
    assert "&lt;b&gt;short&lt;/b&gt;" in engraving.pages[0]


def test_a_finding_without_a_voice_boxes_every_staff():
    finding = Finding("bars", "bars.x", "critical", "short", bar=1)
    engraving = engrave(to_musicxml(DUET), marks_of(read(DUET), [finding]))
    assert len(boxes(engraving.pages[0])) == 2


def test_only_findings_that_name_a_bar_are_marked():
    findings = [
        Finding("syntax", "a", "critical", "no bar"),
        Finding("bars", "b", "info", "a remark", bar=1),
        Finding("bars", "c", "warning", "w", bar=1),
        Finding("bars", "d", "critical", "c", bar=1),
    ]
    assert [mark.severity for mark in marks_of(None, findings)] == ["critical", "warning"]


def test_a_page_limit_is_kept_and_told():
    text = HEAD + "".join("CDEF|GABc|" * 4 + "\n" for _ in range(15)) + "C4|]\n"
    engraving = engrave(to_musicxml(text), max_pages=1)
    assert (len(engraving.pages), engraving.page_count > 1) == (1, True)


@pytest.mark.real
@pytest.mark.slow
def test_real_pieces_are_engraved_with_all_their_bars_and_notes():
    if not REAL.is_dir():
        pytest.skip("no published pieces beside the project")
    paths = sorted(REAL.glob("*/*.abc"), key=lambda path: path.stat().st_size)[::12]
    assert paths
    for path in paths:
        text = path.read_text()
        score = read(text)
        xml = to_musicxml(text)
        engraving = engrave(xml)
        assert engraving.bars == score.bar_count, path
        notes = [
            note for note in ElementTree.fromstring(xml).iter("note") if note.find("rest") is None
        ]
        written = sum(
            len(event.pitches)
            for voice in score.voices
            for bar in voice.bars
            for event in bar.events
        )
        assert len(notes) == written, path
