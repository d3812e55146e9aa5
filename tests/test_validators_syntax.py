"""The syntax gate: the reader's findings, abc2midi's words, and the notes it plays."""

from __future__ import annotations

from pathlib import Path

import pytest

from scoregate.abc.reader import read
from scoregate.errors import GateError
from scoregate.validators import abc2midi
from scoregate.validators.analysis.midi_counts import tracks
from scoregate.validators.examination import examine
from scoregate.validators.gates.syntax import check, unsafe_directives

CHORALE = (Path(__file__).parent / "pieces" / "chorale.abc").read_text()
HEAD = "X:1\nL:1/8\nQ:1/4=90\nM:4/4\nK:C\nV:1\n"


def critical(text: str) -> list[str]:
    return [str(f) for f in check(read(text)).findings if f.severity == "critical"]


def says(monkeypatch, words: str, midi: bytes | None = None) -> None:
    """Let abc2midi say something else; its MIDI stays."""
    real = abc2midi.run

    def run(text: str) -> abc2midi.Run:
        return abc2midi.Run(words, real(text).midi if midi is None else midi)

    monkeypatch.setattr(abc2midi, "run", run)


def test_a_good_piece_has_no_finding_and_all_its_notes():
    outcome = check(read(CHORALE))
    assert [f for f in outcome.findings if f.severity != "info"] == []
    assert outcome.judged
    assert outcome.measures["syntax.notes_read"] == outcome.measures["syntax.notes_heard"] > 100


def test_the_version_names_the_program():
    assert abc2midi.find().version in check(read(CHORALE)).version


@pytest.mark.parametrize(
    "words",
    [
        "Error in line-char 13-8 : Channel limit exceeded",
        "Error in line-char 13-8 : All 16 MIDI channels used up.",
        "Error in line-char 13-8 : I: key ' staff' not recognized",
        "Error in line-char 13-8 : Rolls and trills not supported in chords",
        "Error in line-char 13-8 : Missing :| at end of tune",
        "Warning in line-char 13-8 : instruction !>! ignored",
        "Warning in line-char 13-8 : Track 1 Bar 4 has 3 time units while the time signature has 4",
        "Warning in line-char 13-8 : Track 2 is 8.0 quarter notes long not 7.0",
        "Warning in line-char 13-8 : Slur within slur",
        "Error in line-char 13-8 : Hornpipe must be in 2/4 or 4/4 time",
        "Error in line-char 13-8 : Cannot apply broken rhythm. Notes not equal durations",
    ],
)
def test_its_own_limits_are_not_the_pieces_fault(monkeypatch, words):
    says(monkeypatch, words)
    assert critical(CHORALE) == []


@pytest.mark.parametrize(
    ("words", "code"),
    [
        ("Unrecognized character: 2", "character"),
        ("Could not find note to be tied", "tie"),
        ("Too many >'s", "broken-rhythm"),
        ("Previous voice has an unfinished tuple", "tuplet"),
        ("Too many notes in chord - probably missing ']' or '+'", "chord"),
        ("} without matching {", "grace"),
        ("Missing closing double quote", "unclosed"),
        ("Something nobody has seen yet", "error"),
    ],
)
def test_faults_of_notation_are_critical_and_have_their_place(monkeypatch, words, code):
    says(monkeypatch, f"Error in line-char 13-42 : {words}")
    (finding,) = [f for f in check(read(CHORALE)).findings if f.severity == "critical"]
    assert finding.code == f"syntax.abc2midi-{code}"
    assert (finding.voice, finding.bar, finding.line, finding.column) == ("3", 2, 13, 43)


def test_what_the_reader_said_is_not_said_twice():
    text = CHORALE.replace("[V:1]A2 B2", "[V:1]A2 2 B2", 1)
    codes = [f.code for f in check(read(text)).findings if f.severity == "critical"]
    assert codes == ["syntax.length-stray"]


def test_places_lead_back_to_the_stream_as_it_was_handed_in(monkeypatch):
    lines = [line for line in CHORALE.split("\n") if line and not line.startswith(("X:", "T:"))]
    rows = [line for line in lines if line.startswith("[V:")]
    head = [line for line in lines if not line.startswith("[V:")]
    stream = ["%Baroque", "%Bach, Johann Sebastian", "%Choral", *head]
    stream += [f"[r:{i}/{len(rows) - 1 - i}]{row}" for i, row in enumerate(rows)]
    text = "\n".join(stream) + "\n"
    target = stream.index(f"[r:1/{len(rows) - 2}]{rows[1]}") + 1
    handed = 1 + len(head) + 2  # X:1, the header, and the second line of music
    says(monkeypatch, f"Error in line-char {handed}-{rows[1].index('[V:3]') + 6} : {{ oops")
    found = examine(text, gates=("syntax",)).findings
    (finding,) = [f for f in found if f.code.startswith("syntax.abc2midi")]
    assert (finding.line, finding.voice, finding.bar) == (target, "3", 2)
    assert stream[target - 1][finding.column - 1 :].startswith(
        rows[1][rows[1].index("[V:3]") + 6 :]
    )


def test_lost_notes_are_critical(monkeypatch):
    says(monkeypatch, "", abc2midi.run(HEAD + "[V:1]c8|]\n").midi)
    (finding,) = critical(HEAD + "[V:1]c2 d2 e4|]\n")
    assert "abc2midi plays 1 note where 3 are written" in finding


def test_diminuendos_repeats_and_trills_lose_and_add_no_notes():
    text = HEAD + "[V:1]|:!p!c2 !>(!c2 c2 !>)!c2|\n[V:1]!>(!Tc2 !>)!c2 !trill!c4:|\n" * 3
    assert critical(text + "[V:1]c8|]\n") == []


def test_bowings_and_hidden_barlines_are_no_faults():
    music = 'u"4"e v(c<A) (A>.B) c2|c2 d2 e4 "segno"[|]u(FG) A2 H B4 S |]'
    assert critical(HEAD + f"[V:1]{music}\n") == []


def test_fields_and_decorations_keep_their_letters():
    head = HEAD.replace("V:1\n", "V:T\nV:S\n")
    music = "[V:T][K:D][Q:1/4=60]!upbow!c2 !D.S.!c2 [I:MIDI program 1]c4|][V:S]!tenuto!c8|]"
    outcome = check(read(head + music + "\n"))
    assert [f for f in outcome.findings if f.severity == "critical"] == []
    assert outcome.measures["syntax.notes_heard"] == 4


def test_more_voices_than_midi_has_channels_lose_no_notes():
    names = [str(n) for n in range(1, 21)]
    head = HEAD.replace("V:1\n", "".join(f"V:{n}\n" for n in names))
    body = "".join(f"[V:{n}]c2 d2 e4|]" for n in names) + "\n"
    outcome = check(read(head + body))
    assert outcome.measures == {"syntax.notes_read": 60.0, "syntax.notes_heard": 60.0}


def test_a_crash_is_no_judgement(monkeypatch):
    monkeypatch.setattr(abc2midi, "run", lambda text: abc2midi.Run("", b"", "crashed (SIGSEGV)"))
    outcome = check(read(CHORALE))
    assert not outcome.judged
    assert outcome.reason == "abc2midi crashed (SIGSEGV)"


@pytest.mark.parametrize(
    "line",
    [
        "%%abc-include /etc/passwd",
        "%%ABC-Include /etc/passwd",
        "I:abc-include /etc/passwd",
        "[I:abc-include /etc/passwd]",
        "%%MIDI ptstress /etc/passwd",
        "I:MIDI ptstress /etc/passwd",
        "[I:MIDI= ptstress /etc/passwd]",
        "%%MIDIdef x = ptstress /etc/passwd",
        "%%EPS /etc/passwd",
        "%%format /etc/passwd",
        "%%beginps",
        "%%beginjs",
        "%% postscript run",
    ],
)
def test_directives_that_read_files_are_refused_and_not_run(monkeypatch, line):
    monkeypatch.setattr(abc2midi, "run", lambda text: pytest.fail("it was run"))
    lines = CHORALE.split("\n")
    lines.insert(2, line)
    (finding,) = [f for f in check(read("\n".join(lines))).findings if "unsafe" in f.code]
    assert (finding.severity, finding.line) == ("critical", 3)


def test_harmless_directives_stay():
    assert unsafe_directives("%%MIDI program 1\n%%staves 1\n%%formatting\nT:format\n") == []


def test_nothing_of_a_file_reaches_the_findings(tmp_path):
    secret = tmp_path / "secret"
    secret.write_text("hunter2\n")
    text = CHORALE.replace("K:G", f"%%abc-include {secret}\nK:G")
    assert "hunter2" not in str(check(read(text)).findings)


def test_a_broken_midi_file_is_a_fault_of_the_gate():
    midi = abc2midi.run(CHORALE).midi
    assert sum(track.notes for track in tracks(midi)) > 0
    with pytest.raises(GateError, match="breaks off"):
        tracks(midi[:-20])


@pytest.mark.real
@pytest.mark.slow
def test_abc2midi_and_the_reader_agree_on_the_notes_of_real_pieces(real_pieces):
    """Of pieces without a critical finding every note is heard."""
    for path in real_pieces:
        outcome = check(read(path.read_bytes()))
        assert outcome.judged, path
        assert not any("notes-" in finding.code for finding in outcome.findings), path


def test_where_the_first_note_is_lost(monkeypatch):
    head = HEAD.replace("V:1\n", "V:1\nV:2\n")
    text = head + "[V:1]C2D2E2F2|[V:2]C,8|\n[V:1]G2A2B2c2|[V:2]C,2(3E,2F,2G,2z2|]\n"
    run = abc2midi.run
    monkeypatch.setattr(abc2midi, "run", lambda text: run(text.replace("F,2", "z2")))
    (finding,) = [f for f in check(read(text)).findings if f.severity == "critical"]
    assert (finding.code, finding.voice, finding.bar) == ("syntax.notes-lost", "2", 2)
    assert "plays 12 notes where 13 are written" in finding.message
