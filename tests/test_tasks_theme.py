"""Themes of variations: found, checked, cut, and forced; and the distance of a piece from one."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from scoregate.abc.reader import read
from scoregate.archive.records import PieceReport
from scoregate.archive.store import Archive
from scoregate.convert.abc_text import read_abc
from scoregate.errors import InputError
from scoregate.findings import Status
from scoregate.notagen.text.theme import bar_range, choose_bars, soprano
from scoregate.piece import piece_id
from scoregate.requests import ProduceRequest, VaryRequest, checked
from scoregate.tasks.theme import melody_alone, prepare
from scoregate.validators.analysis.theme_distance import melody, notes_of_voice, theme_distance

MELODY = "X:1\nM:3/4\nL:1/4\nK:Ador\nA|B c d|e2 ^f|g2 e-|e3|]\n"
SINGERS = ("Soprano", "Alto", "Tenor", "Bass")
MUSIC = (
    ("G A B c", "D D D E", "B, A, G, G,", "G,, F,, G,, C,"),
    ("d2 B2", "D2 D2", "B,2 G,2", "G,2 G,,2"),
    ("B4", "D4", "G,4", "G,,4"),
)


def chorale(names: tuple[str, ...] = SINGERS, key: str = "G") -> str:
    heads = "".join(f'V:{number} nm="{name}"\n' for number, name in enumerate(names, 1))
    lines = [
        "".join(f"[V:{number}]{music}|" for number, music in enumerate(bar, 1)) for bar in MUSIC
    ]
    return f"X:1\nM:4/4\nL:1/4\nK:{key}\n{heads}" + "\n".join(lines) + "\n"


def asked(theme: str, tmp_path: Path, **values) -> VaryRequest:
    return checked(VaryRequest, theme=theme, out=str(tmp_path / "out"), **values)


def test_a_melody_becomes_the_soprano_of_a_chorale(tmp_path):
    theme = prepare(asked(MELODY, tmp_path, reharmonise=True, count=3))
    forced = theme.request.forced
    assert type(theme.request) is ProduceRequest
    assert theme.request.count == 3
    assert theme.request.temperature == 0.9
    assert forced is not None
    assert forced.forced_as == "voice"
    assert forced.text.splitlines() == [
        "%%score [ 1 2 3 4 ]", "L:1/8", "Q:1/4=80", "M:3/4", "K:G",
        'V:1 treble nm="Soprano"', 'V:2 treble nm="Alto"', 'V:3 bass nm="Tenor"',
        'V:4 bass nm="Bass"',
        "[V:1]A2|", "[V:1]B2 c2 d2|", "[V:1]e4 f2|", "[V:1]g4 e2-|", "[V:1]!fermata!e6|]",
    ]  # fmt: skip
    assert notes_of_voice(read(melody_alone(forced.text))) == notes_of_voice(read(MELODY))
    assert (forced.bars, forced.name) == ("1-5", "typed ABC")
    assert forced.parent == piece_id(MELODY)


def test_bars_keep_the_key_and_metre_that_hold_where_they_begin():
    piece = read_abc("X:1\nM:3/4\nK:C\nC6|[K:G][M:2/4]B4-|B4|c4-|c4|]\n", "x")
    chosen = choose_bars(piece, "3-4")
    assert (chosen.fields["K"], chosen.fields["M"]) == ("G", "2/4")
    assert [bar.text for bar in chosen.voices["1"]] == ["B4", "c4"]  # the last tie is cut
    assert "M:2/4\nK:G\n" in soprano(chosen)
    assert [bar.text for bar in choose_bars(piece, "").voices["1"]][-2:] == ["c4-", "c4"]
    assert bar_range("5", 5) == (5, 5)


@pytest.mark.parametrize("bars", ["6", "0-2", "3-2", "2-9"])
def test_bars_outside_the_theme_are_named(bars, tmp_path):
    with pytest.raises(InputError, match=f"Bars {bars} are not in the theme, which has 5"):
        prepare(asked(MELODY, tmp_path, bars=bars, reharmonise=True))


def test_a_soprano_has_the_barlines_that_chorales_have():
    piece = read_abc("X:1\nM:4/4\nL:1/8\nK:C\nc8|:d8::e8:|f8||g8|]\n", "x")
    ends = [line[-2:] for line in soprano(piece).splitlines()[-5:]]
    assert ends == ["8|", ":|", ":|", "8|", "|]"]


def test_a_chorale_becomes_an_opening(tmp_path):
    path = tmp_path / "theme.abc"
    path.write_text(chorale())
    theme = prepare(asked(str(path), tmp_path, bars="1-2"))
    forced = theme.request.forced
    assert forced is not None
    assert (forced.forced_as, forced.name, forced.bars) == ("opening", "theme.abc", "1-2")
    assert forced.text.splitlines()[-2:] == [
        "[V:1]G2 A2 B2 c2|[V:2]D2 D2 D2 E2|[V:3]B,2 A,2 G,2 G,2|[V:4]G,,2 F,,2 G,,2 C,2|",
        "[V:1]d4 B4|[V:2]D4 D4|[V:3]B,4 G,4|[V:4]G,4 G,,4|",
    ]


def test_a_piece_of_the_archive_is_the_parent(tmp_path):
    store = Archive(tmp_path / "out")
    entry = store.add({"score.abc": chorale()}, PieceReport(status=Status.PASSED))
    theme = prepare(asked(entry.piece_id[:8], tmp_path))
    assert theme.request.forced is not None
    assert theme.request.forced.parent == entry.piece_id == piece_id(chorale())
    assert theme.request.forced.name == f"piece {entry.piece_id[:12]}"


def test_other_formats_are_read(tmp_path):
    from music21 import converter

    path = tmp_path / "theme.musicxml"
    converter.parse(MELODY.replace("Ador", "G"), format="abc").write("musicxml", fp=path)
    midi = tmp_path / "theme.mid"
    converter.parse(path).write("midi", fp=midi)
    for file in (path, midi):
        forced = prepare(asked(str(file), tmp_path, reharmonise=True)).request.forced
        assert forced is not None
        assert [note[3] for note in notes_of_voice(read(melody_alone(forced.text)))] == [
            (69,), (71,), (72,), (74,), (76,), (78,), (79,), (76,)
        ]  # fmt: skip


@pytest.mark.parametrize(
    ("theme", "values", "said"),
    [
        ("", {}, "at least 1 character"),
        (" ", {}, "theme is empty"),
        ("nowhere.abc", {}, "There is no theme 'nowhere.abc'"),
        ("abcdef", {}, "No piece in .* begins with abcdef"),
        (MELODY, {}, "has one voice, and a piece in the style .* has four"),
        (MELODY, {"style": "Chopin"}, "not trained on the style"),
        (MELODY, {"style": "مقام"}, "no name of a period"),
        (MELODY, {"bars": "two"}, "bars: string should match"),
        (chorale(("Soprano", "Viola", "Tenor", "Bass")), {}, "for Viola, and Choral pieces are"),
        ("K:C\nC,,2 G2 C4|", {"reharmonise": True}, "below the range of the soprano"),
        ("K:C\n[CE]2 G2 C4|", {"reharmonise": True}, "can't be a soprano"),
        ("K:C\n" + "c2 d2 e2 f2|" * 200, {"reharmonise": True}, "200 bars take about"),
        ("K:C\nC2 D2 E8|F2 G6|", {"reharmonise": True}, "is not valid: bars"),
        ("K:C\nC2 D2 [E4|F2 G6|", {"reharmonise": True}, "is not valid: syntax"),
    ],
    ids=["nothing", "blank", "no-file", "no-piece", "one-voice", "untrained", "script", "bars",
         "instruments", "range", "chords", "length", "metre", "syntax"],
)  # fmt: skip
def test_a_theme_that_can_not_be_varied_is_told_in_a_line(theme, values, said, tmp_path):
    with pytest.raises(InputError, match=said):
        prepare(asked(theme, tmp_path, **values))


def test_a_melody_is_harmonised_in_a_style_of_singers_only(tmp_path):
    request = asked(MELODY, tmp_path, reharmonise=True, allow_untrained=True,
                    style="Romantic/Chopin, Frederic/Keyboard")  # fmt: skip
    with pytest.raises(InputError, match="a style of four singers"):
        prepare(request)


def test_the_theme_is_part_of_what_identifies_a_request(tmp_path):
    one = prepare(asked(MELODY, tmp_path, reharmonise=True, seed=1)).request
    other = prepare(asked(MELODY, tmp_path, reharmonise=True, seed=1, bars="1-4")).request
    plain = ProduceRequest(count=8, temperature=0.9, seed=1)
    assert len({one.key, other.key, plain.key}) == 3


def test_the_distance_from_a_theme():
    theme = read(chorale())
    assert theme_distance(theme, theme) == 0
    near = read(chorale().replace("c|[V:2]", "d|[V:2]", 1))
    far = read(chorale().replace("G", "A").replace("D", "E").replace("B", "c"))
    assert 0 < theme_distance(theme, near) < theme_distance(theme, far) <= 1
    # The same bars behind an opening: only what follows it is compared.
    assert theme_distance(theme, theme, first=1) > 0
    slower = read(chorale().replace("G A B c|", "G2 A2|"))
    assert theme_distance(melody(theme), melody(slower)) > 0
    assert math.isnan(theme_distance(theme, read("X:1\nK:C\n")))


def test_notes_are_the_same_where_ties_are_written_otherwise():
    tied = read("X:1\nM:4/4\nL:1/4\nK:C\nC-C D E|F4|]\n")
    plain = read("X:1\nM:4/4\nL:1/4\nK:C\nC2 D E|F4|]\n")
    assert notes_of_voice(tied) == notes_of_voice(plain)
    assert notes_of_voice(plain) != notes_of_voice(read("X:1\nM:4/4\nL:1/4\nK:C\nC2 D _E|F4|]\n"))
    assert notes_of_voice(plain, 1) == []
