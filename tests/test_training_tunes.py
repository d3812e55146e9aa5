"""Fiddle tunes as a training corpus: one voice, plain, each collection a style of its own."""

from __future__ import annotations

import pytest
from training_runs import write_tunebook

from scoregate.convert.abc_text import read_abc
from scoregate.convert.piece import ConversionError, piece_text
from scoregate.convert.tune import as_tune
from scoregate.notagen.training import project, tunes
from scoregate.notagen.training.corpus import CHORALE_STYLE, tune_groups
from scoregate.notagen.training.tune_spelling import ends_on_tonic, spelt_alike

HEAD = "X:1\nT:One\nM:6/8\nL:1/8\nK:{}\n"


def plain(music: str, key: str = "D") -> list[str]:
    text = piece_text(as_tune(read_abc(HEAD.format(key) + music + "\n", "one")))
    return [line.removeprefix("[V:1]") for line in text.splitlines() if line.startswith("[V:1]")]


@pytest.mark.parametrize(
    ("music", "bars"),
    [
        ('"G"~G3 {cd}(BAG)|!trill!A3 .B2 c|]', ["G3 BAG|", "A3 B2 c|]"]),
        ('vA2(Ac) u"1"e2|v"0"f6|]', ["A2Ac e2|", "f6|]"]),
        ("(3ABc (3:2:3dBA G>F|G6:|", ["(3ABc (3:2:3dBA G>F|", "G6:|"]),
        ("(A|d2) e f3|[1 g6:|[2 a6|]", ["A|", "d2 e f3|", "[1g6:|", "[2a6|]"]),
    ],
)
def test_ornaments_and_words_go_and_notes_stay(music, bars):
    assert plain(music) == bars


@pytest.mark.parametrize(
    ("key", "short"),
    [("A Mixolydian", "Amix"), ("E Minor", "Em"), ("G Major", "G"), ("Ador", "Ador"), ("Bb", "Bb")],
)
def test_modes_have_one_spelling(key, short):
    text = piece_text(as_tune(read_abc(HEAD.format(key) + "A6|\n", "one")))
    assert f"\nK:{short}\n" in text


@pytest.mark.parametrize(
    ("music", "said"),
    [
        ("[ac]3 d3|", "more than single notes"),
        ("A3 [K:G] d3|", "a field in the middle"),
        ("z6|", "no notes"),
        ("V:1\nA6|\nV:2\nA,6|", "several voices"),
    ],
)
def test_what_is_no_tune_is_named(music, said):
    with pytest.raises(ConversionError, match=said):
        plain(music)


@pytest.fixture
def books(tmp_path, monkeypatch):
    """Two small tunebooks in the place of music21's."""
    scales = ["ABcd|efga|", "dcBA|GFED|", "DFAd|fdAF|", "[ac]3 d|"]
    # The second book repeats the first tune and has others an octave higher.
    others = [scales[0], "d2fa|gfed|", "a2gf|edcd|"]
    books = {"oneills1850": scales, "ryansMammoth": others}
    files = [write_tunebook(tmp_path / name, bars) for name, bars in books.items()]
    monkeypatch.setattr(tunes, "_files", lambda: files)


@pytest.mark.usefixtures("books")
def test_each_collection_is_a_style_and_no_tune_comes_twice(tmp_path):
    cache = tmp_path / "work" / "corpus.json"
    corpus = tunes.fiddle_tunes(cache)
    assert len(corpus.texts) == 5
    assert sorted(loss.reason.split(":")[-1].strip() for loss in corpus.losses) == [
        "more than single notes ([ac]3 d)", "the same music as another tune",
    ]  # fmt: skip
    styles = {name.split("/")[0]: style for name, style in corpus.styles.items()}
    assert styles == {name: tunes.FIDDLE_STYLES[name] for name in ("oneills1850", "ryansMammoth")}
    assert tunes.fiddle_tunes(cache) == corpus  # read from the cache


def test_a_file_with_a_single_tune_is_read(tmp_path, monkeypatch):
    """Ryan's collection has a file for each tune; none of them was read, and nothing said so."""
    (tmp_path / "ryansMammoth").mkdir()
    file = tmp_path / "ryansMammoth" / "one.abc"
    file.write_text("X: 1\nT:One\nM:2/4\nL:1/8\nK:D\nABcd|efga|d4|]\n")
    monkeypatch.setattr(tunes, "_files", lambda: [file])
    assert list(tunes.fiddle_tunes().texts) == ["ryansMammoth/one-1"]


@pytest.mark.usefixtures("books")
def test_pieces_are_prompted_with_their_own_style(tmp_path):
    corpus = project.collect_scores("fiddle-tunes", tmp_path / "work")
    prepared = project.prepare(corpus, CHORALE_STYLE)
    everything = prepared.train | prepared.validation | prepared.test
    material = prepared.material(everything, 128)
    for name in everything:
        prompt = "".join(f"%{part}\n" for part in corpus.styles[name])
        assert material._stream(name, 0, 0).startswith(prompt)
    assert set(prepared.every_style) == set(corpus.styles.values())


def test_tunes_that_share_a_quarter_of_their_bars_are_one_group():
    head = "L:1/8\nM:2/4\nK:D\nV:1\n"

    def text(*bars):
        return head + "".join(f"[V:1]{bar}|\n" for bar in bars)

    first = text("ABcd", "efga", "dcBA", "GFED", "DFAd")
    varied = text("ABcd", "efga", "d2fa", "gfed", "f4")
    other = text("d2d2", "e2ef", "a2gf", "edcd", "e4")
    groups = tune_groups({"a": first, "b": varied, "c": other})
    assert groups == [["a", "b"], ["c"]]


# --- spelling --------------------------------------------------------------------------------


def spelt(music: str, length: str = "1/8", metre: str = "6/8", key: str = "D") -> list[str]:
    body = "".join(f"[V:1]{bar}|\n" for bar in music.split("|"))
    text = spelt_alike(f"L:{length}\nM:{metre}\nK:{key}\nV:1 treble\n{body}")
    assert text.startswith("L:1/8\n")
    lines = [line for line in text.splitlines() if line.startswith("[V:1]")]
    return [line.removeprefix("[V:1]").removesuffix("|") for line in lines]


@pytest.mark.parametrize(
    ("music", "found"),
    [
        ("d>cd BAz/2F/2", "d>cd BAz/F/"),
        ("d > c d B A F", "d>cd BAF"),
        ("f-g a3b", "fga3b"),  # a slur between two pitches, and a note that holds over the beat
        ("A3-A2 d-|d3 e3", "A3- A2d- d3 e3"),
        ("^c3-^c3-|c3 d3", "^c3- ^c3- c3 d3"),  # a tie holds its accidental over the barline
        ("(3efg a fed", "(3efga fed"),
        ("[1 d3 d2", "[1d3 d2"),
        ("z2A d3", "z2A d3"),
    ],
)
def test_bars_are_grouped_by_beats_and_only_ties_stay(music, found):
    assert " ".join(spelt(music)) == found


def test_lengths_count_in_eighths_whatever_the_unit_was():
    assert spelt("G4 f2dB|c3BG2E2", "1/16", "2/4") == ["G2 fd/B/", "c3/2B/ GE"]
    assert spelt("G2F|DA/B/c", "1/4", "3/4") == ["G4 F2", "D2 AB c2"]
    assert spelt("d2 dc B2 AB", metre="C") == ["d2dc B2AB"]


def test_a_tune_ends_on_the_tonic_of_its_field_or_not():
    text = "L:1/8\nM:6/8\nK:{}\nV:1\n[V:1]d3 A3|\n[V:1]d3 z3|\n"
    assert [ends_on_tonic(text.format(key)) for key in ("D", "Dm", "G", "none")] == [
        True, True, False, False,
    ]  # fmt: skip


@pytest.mark.usefixtures("books")
def test_tunes_with_another_final_are_kept_away_from_training_only(tmp_path):
    corpus = project.collect_scores("fiddle-tunes", tmp_path / "work")
    assert corpus.not_trained == dict.fromkeys(
        (name for name, text in corpus.texts.items() if not ends_on_tonic(text)), tunes.OFF_TONIC
    )
    assert 0 < len(corpus.not_trained) < len(corpus.texts)
    prepared = project.prepare(corpus, CHORALE_STYLE)
    assert not set(prepared.train) & set(corpus.not_trained)
    held = prepared.validation | prepared.test
    assert set(prepared.train) | set(held) | set(corpus.not_trained) == set(corpus.texts)
