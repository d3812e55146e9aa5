"""Names of parts, in four languages, and the table they lead to."""

from __future__ import annotations

import re
import sys

import pytest

from scoregate.validators.analysis import instruments
from scoregate.validators.analysis.instruments import midi_number, pitch_name, resolve, table, union


def keys(name: str) -> list[list[str]]:
    return [[entry.key for entry in alternatives] for alternatives in resolve(name)]


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("2 Clarinetti in B", "clarinet"),
        ("Clarinetto in La", "clarinet"),
        ("Clarinettes en si♭", "clarinet"),
        ("A-Klarinette", "clarinet"),
        ("Bb Clarinet", "clarinet"),
        ("Es-Klarinette", "e flat clarinet"),
        ("Clarinetto basso in B", "bass clarinet"),
        ("Corni in Es", "horn"),
        ("Hörner in F 3.4.", "horn"),
        ("F Horn", "horn"),
        ("Cors en fa 1.2.", "horn"),
        ("Englisches Horn", "english horn"),
        ("2 Trombe in D", "trumpet"),
        ("Tr.", "trumpet"),
        ("Tromboni tenore", "trombone"),
        ("Trombone basso", "bass trombone"),
        ("Tbn. B.", "bass trombone"),
        ("Timpani in D.A.", "timpani"),
        ("Pauken", "timpani"),
        ("Große Trommel", "unpitched percussion"),
        ("Flöte I.II.", "flute"),
        ("Flauto traverso", "flute"),
        ("Hautbois", "oboe"),
        ("Oboe d'amore I", "oboe d'amore"),
        ("Fag.", "bassoon"),
        ("Kontrafagott", "contrabassoon"),
        ("Violino I", "violin"),
        ("Violine I und II", "violin"),
        ("1st Violin", "violin"),
        ("Bratsche", "viola"),
        ("Vc.", "violoncello"),
        ("Kontrabaß", "contrabass"),
        ("Contrebasses", "contrabass"),
        ("Viola da Gamba", "viola da gamba"),
        ("Continuo", "bass part"),
        ("Harfe", "harp"),
        ("Pianoforte", "piano"),
        ("Pno.", "piano"),
        ("Klavier zu 4 Händen", "piano"),
        ("Cembalo obbligato", "harpsichord"),
        ("Orgel", "organ"),
        ("Singstimme\\nVoice", "voice"),
        ("Singstimme\nVoice", "voice"),
        ("Chœur", "voice"),
        ("Sopran 1", "soprano"),
        ("S", "soprano"),
        ("Tenore II", "tenor"),
        ("Women", "women's voices"),
        ("Frauenstimmen", "women's voices"),
        ("Men", "men's voices"),
    ],
)
def test_one_name_one_instrument(name, key):
    assert keys(name) == [[key]]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("Basso", [["bass part", "bass voice"]]),
        ("B", [["bass part", "bass voice"]]),
        ("Alto", [["viola", "alto"]]),
        ("A", [["alto"]]),
        ("O", [["oboe", "organ"]]),
        ("Pianoforte/Violin ", [["piano"], ["violin"]]),
        ("Violoncello e Contrabbasso", [["violoncello"], ["contrabass"]]),
        ("Tuba e Trombone basso", [["tuba"], ["bass trombone"]]),
    ],
)
def test_shared_parts_and_names_with_two_meanings(name, expected):
    assert keys(name) == expected


@pytest.mark.parametrize("name", ["gurandopiano", "Erhu", "Xyz", "1.", "", "|||", "  "])
def test_a_name_that_means_nothing_stays_unknown(name):
    assert resolve(name) == ()


def test_music21_is_asked_only_for_what_the_table_lacks(monkeypatch):
    asked = []
    monkeypatch.setattr(instruments, "_ask_music21", lambda name: asked.append(name))
    resolve.cache_clear()
    for name in ("2 Oboi", "Violino I", "Singstimme\\nVoice", "Nonesuch"):
        resolve(name)
    resolve.cache_clear()
    assert asked == ["Nonesuch"]


def test_music21_resolves_what_the_table_lacks(monkeypatch):
    monkeypatch.setattr(instruments, "_by_name", dict)
    resolve.cache_clear()
    assert keys("Oboe") == [["oboe"]]
    assert "music21" in sys.modules
    resolve.cache_clear()


def test_every_entry_is_sound():
    assert len(table()) > 60
    for key, entry in table().items():
        assert entry.family, key
        if entry.pitched:
            assert entry.low <= entry.comfort_low < entry.comfort_high <= entry.high, key


@pytest.mark.slow
def test_limits_hold_what_music21_says_of_them():
    """Compare sounding pitches, as music21 gives written ones.

    None is below the table's limit by more than the extensions that music21 includes (a low B
    on the flute, a low A on the baritone).
    """
    from music21 import instrument

    for entry, row in zip(table().values(), instruments._rows().values(), strict=True):
        for name in row.get("music21", ()):
            lowest = getattr(instrument, name)().lowestNote
            if lowest is None or entry.family == "folk":
                continue
            shift = getattr(instrument, name)().transposition
            sounding = int(lowest.midi) + (int(shift.semitones) if shift is not None else 0)
            assert entry.low <= sounding + 2, (entry.key, name, sounding)


@pytest.mark.parametrize(
    ("key", "low", "high"),
    [
        ("violin", "G3", "A7"),
        ("violoncello", "C2", "E6"),
        ("piano", "A0", "C8"),
        ("harpsichord", "F1", "G6"),
        ("soprano", "G3", "F6"),
        ("clarinet", "C#3", "C7"),
    ],
)
def test_limits_are_sounding_pitches(key, low, high):
    assert (pitch_name(table()[key].low), pitch_name(table()[key].high)) == (low, high)


def test_pitch_names():
    assert [midi_number(name) for name in ("C4", "F#3", "Bb1", "A0", "C-1")] == [60, 54, 34, 21, 0]
    assert [pitch_name(number) for number in (60, 61, 34, 108)] == ["C4", "C#4", "Bb1", "C8"]
    with pytest.raises(ValueError, match="no pitch name"):
        midi_number("H4")


def test_the_union_is_as_wide_as_both():
    both = union((table()["violin"], table()["violoncello"]))
    assert (both.low, both.high) == (table()["violoncello"].low, table()["violin"].high)
    assert both.key == "violin or violoncello"


@pytest.mark.real
def test_every_name_that_occurs_is_known(real_pieces):
    names = set()
    for path in real_pieces:
        names |= set(re.findall(r'nm="([^"]*)"', path.read_text("utf-8")))
    assert len(names) > 20
    assert {name for name in names if not resolve(name)} <= {"gurandopiano"}
