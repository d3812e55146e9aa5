"""Voice-leading, endings and the tempo: remarks that a musician would make."""

from __future__ import annotations

import math

import pytest

from scoregate.abc.reader import read
from scoregate.validators.gates.harmony import check, chord_root

CHORAL = "Baroque/Bach, Johann Sebastian/Choral"


def choir(*voices: str, key: str = "C", tempo: str = "Q:1/4=90\n") -> str:
    """One bar for a choir, voices from the highest down."""
    names = "".join(
        f'V:{n} {"treble" if n < 3 else "bass"} nm="{name}"\n'
        for n, name in zip(range(1, len(voices) + 1), "SATB", strict=False)
    )
    music = "".join(f"[V:{n}]{voice}|]" for n, voice in enumerate(voices, 1))
    return f"X:1\nL:1/4\n{tempo}M:4/4\nK:{key}\n{names}{music}\n"


def remarks(text: str, style: str = CHORAL) -> list[tuple]:
    found = check(read(text), style=style).findings
    assert all(finding.severity == "warning" for finding in found)
    return [(f.code.partition(".")[2], f.voice, f.bar, f.message) for f in found]


GOOD = ("c B c2", "G G G2", "E, D, E,2", "C, G,, C,2")


def test_good_voices_bring_no_remark():
    assert remarks(choir(*GOOD)) == []


def test_parallel_fifths():
    found = remarks(choir("g a g2", "e f e2", "C D C2", "C, B,, C,2"))
    assert ("parallel-fifths", "1", 1, "parallel fifths with voice 3") in found


def test_parallel_octaves():
    found = remarks(choir("c d c2", "G F G2", "E, F, E,2", "C, D, C,2"))
    assert ("parallel-octaves", "1", 1, "parallel octaves with voice 4") in found
    assert not any(code == "parallel-fifths" for code, *_ in found)


@pytest.mark.parametrize(
    ("upper", "lower"),
    [("c c c2", "C, C, C,2"), ("c d c2", "C, D,, C,2"), ("c z d2", "C, z D,2")],
    ids=["held", "contrary", "over a rest"],
)
def test_what_is_no_parallel(upper, lower):
    assert not any("parallel" in code for code, *_ in remarks(choir(upper, "E2 E2", lower)))


def test_crossing_names_the_voices():
    found = remarks(choir("c B c2", "G d E2", "E, D, G,2", "C, G,, C,2"))
    assert ("voice-crossing", "1", 1, "voice 1 goes below voice 2") in found


def test_voice_leading_is_a_choirs_business():
    text = choir("g a g2", "e f e2", "C D C2", "C, B,, C,2")
    text = text.replace('nm="S"', 'nm="Flute"').replace('nm="A"', 'nm="Oboe"')
    assert remarks(text, "Baroque/X/Chamber") == []


@pytest.mark.parametrize(
    ("last", "key", "codes"),
    [
        (("c B c2", "G F E2", "E, D, G,2", "C, G,, C,2"), "C", []),
        (("c c B2", "G F D2", "E, D, G,2", "C, F,, G,,2"), "C", ["ends-on-dominant"]),
        (("c c B2", "G F D2", "E, D, F,2", "C, F,, E,,2"), "C", ["ends-open"]),
        (("c c c2", "G F G2", "E, D, C,2", "C, F,, C,,2"), "C", []),
    ],
)
def test_endings(last, key, codes):
    found = [code for code, *_ in remarks(choir(*last, key=key)) if code.startswith("ends")]
    assert found == codes


def test_no_tempo():
    assert remarks(choir(*GOOD, tempo="")) == [("tempo-missing", None, None, "no tempo is given")]


def test_rates_for_the_report():
    measures = check(read(choir("g a g2", "e f e2", "C D C2", "C, B,, C,2")), style=CHORAL).measures
    assert measures["harmony.parallels"] >= 1
    good = check(read(choir(*GOOD)), style=CHORAL).measures
    assert math.isnan(good.pop("harmony.order"))  # too short to say
    assert set(good.values()) == {0}


@pytest.mark.parametrize(
    ("classes", "bass", "root"),
    [((0, 4, 7), 0, 0), ((0, 4, 7), 4, 0), ((9, 0, 4), 9, 9), ((0, 7), 0, 0), ((0, 2, 7), 0, None)],
)
def test_roots(classes, bass, root):
    assert chord_root(sum(1 << step for step in classes), bass) == root


def test_silence_is_no_music_to_remark_on():
    assert remarks(choir("z4", "z4")) == []
