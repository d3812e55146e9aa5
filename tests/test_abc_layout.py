"""Layout and playback are left out of a text before any program sees it."""

from __future__ import annotations

import pytest

from scoregate.abc.finish import finish
from scoregate.validators import abc2midi
from scoregate.validators.checking import check_bytes
from scoregate.validators.examination import examine

HEAD = "X:1\nM:4/4\nL:1/4\nK:C\n"
LAYOUT = {
    "PostScript in a block": "%%beginps\n/box { newpath } def\n|: 3 4 :|\n%%endps\n",
    "PostScript in a line": "%%postscript /box { newpath } def\n",
    "a picture": '%%beginsvg\n<path d="M 0 0"/>\n%%endsvg\n',
    "text in a block": "%%begintext\nThe bells of | Wandsworth\nX: 3\n%%endtext\n",
    "text in a line": "%%text The bells\n%%center of Wandsworth\n",
    "a player's chords": "%%MIDI chordname m7b5 0 3 6 10\n%%MIDI chordname x" + " 1" * 40 + "\n",
    "a division by zero in abc2midi": "%%MIDI expand 1/0\n",
    "a field": "I:MIDI program 40\n",
}


@pytest.mark.parametrize("layout", LAYOUT.values(), ids=LAYOUT)
@pytest.mark.parametrize("where", ["in the header", "among the music"])
def test_layout_is_no_fault_and_reaches_no_program(monkeypatch, layout, where):
    given = []
    run = abc2midi.run
    monkeypatch.setattr(abc2midi, "run", lambda text: given.append(text) or run(text))
    text = HEAD.replace("M:", layout + "M:") if where == "in the header" else HEAD
    text += "CDEF|\n" + (layout if where == "among the music" else "") + "G4|]\n"
    checked = check_bytes("a", text)
    assert checked.status == "passed", checked.findings
    said = [finding for finding in checked.findings if finding.code == "syntax.layout"]
    assert {finding.severity for finding in said} == {"warning"}
    assert (
        min(finding.line or 0 for finding in said)
        == text.split("\n").index(layout.split("\n")[0]) + 1
    )
    assert layout.split("\n")[0] not in given[0]
    assert checked.text == HEAD + "CDEF|\nG4|]\n"
    assert finish(checked.text).text == checked.text


def test_findings_keep_the_lines_of_the_text_that_was_handed_in():
    text = HEAD + "%%beginps\nnewpath\n%%endps\nCDEF|\n%%MIDI program 3\nG4G|]\n"
    (finding,) = [f for f in examine(text).findings if f.severity == "critical"]
    assert (finding.code, finding.line, finding.printed) == ("bars.too-long", 10, "2")


def test_a_stream_may_carry_layout():
    text = "%a\n%b\n%c\nM:4/4\nL:1/4\nK:C\n%%MIDI program 3\nV:1\nV:2\n"
    text += "[r:0/1][V:1]CDEF|\n%%MIDI program 4\n[r:1/0][V:2]G4|]\n"
    finished = finish(text)
    assert finished.text.endswith("V:2\n[V:1]CDEF|[V:2]z4|\n[V:1]z4|][V:2]G4|]\n")
    assert finished.lines[-3:] == (10, 12, 13)
    assert [finding.line for finding in finished.source_findings] == [7]


@pytest.mark.parametrize(
    "line", ["%%abc-include /etc/passwd", "%%MIDI ptstress /etc/passwd", "%%format a.fmt"]
)
def test_what_reads_a_file_is_refused(monkeypatch, line):
    monkeypatch.setattr(abc2midi, "run", lambda text: pytest.fail("it was run"))
    checked = check_bytes("a", HEAD + line + "\nCDEF|]\n")
    assert "syntax: unsafe directive" in checked.reasons


@pytest.mark.parametrize("kind", ["ps", "svg", "text"])
def test_a_block_that_is_never_ended_is_found(kind):
    checked = check_bytes("a", f"X:1\n%%begin{kind}\nM:4/4\nK:C\nCDEF|]\n")
    assert checked.status != "passed"
    assert any("block-open" in f.code or "unsafe" in f.code for f in checked.findings)
