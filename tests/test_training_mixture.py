"""Several corpora with shares in one training, and styles from the names of folders."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from training_runs import CHORAL, STYLE, write_chorales, write_tunebook

from scoregate.errors import RequestError
from scoregate.notagen.training.mixture import Source, prepare_sources, read_sources, told
from scoregate.notagen.training.project import CHORALE_COMPASS


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("bach-chorales", [Source("bach-chorales")]),
        ("a, b", [Source("a"), Source("b")]),
        ("x/a=.25,y/b=0.75", [Source("x/a", 0.25), Source("y/b", 0.75)]),
        ("a=.33,b=.33,c=.33", [Source("a", 0.33), Source("b", 0.33), Source("c", 0.33)]),
    ],
)
def test_sources_are_named_with_or_without_shares(text, found):
    if "c=" in text:
        with pytest.raises(RequestError, match=r"add up to 0.99 \(0.33 \+ 0.33 \+ 0.33\)"):
            read_sources(text)
    else:
        assert read_sources(text) == found


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a=0.7,b=0.4", r"The shares add up to 1.1 \(0.7 \+ 0.4\), not to 1"),
        ("a=0.7,b", "There is no share for b"),
        ("a=some,b=0.4", "'some' is no share of a"),
        ("a=0,b=1", "'0' is no share of a"),
        ("a=-1,b=2", "'-1' is no share of a"),
        ("x/a,y/a", "Two sources are called a"),
        (" , ", "No corpus is named"),
    ],
)
def test_faulty_shares_are_told(text, said):
    with pytest.raises(RequestError, match=said):
        read_sources(text)


def test_a_folder_may_have_a_comma_in_its_name(tmp_path):
    folder = tmp_path / "a=1,b"
    folder.mkdir()
    assert read_sources(str(folder)) == [Source(str(folder))]


def test_the_card_names_sources_and_shares():
    assert told([Source("bach-chorales", 0.7), Source("x/mine", 0.3)]) == (
        "bach-chorales (70 %), mine (30 %)"
    )
    assert told([Source("x/mine")]) == "mine"


@pytest.fixture
def two(tmp_path):
    """Prepare pieces of two folders, six of one and three of the other."""
    many, few = write_chorales(tmp_path / "many", 6), write_chorales(tmp_path / "few", 3, first=10)

    def made(shares=("", "")):
        text = ",".join(f"{f}{share}" for f, share in zip((many, few), shares, strict=True))
        return prepare_sources(text, tmp_path / "work", CHORAL)

    return made


def drawn(prepared) -> Counter[str]:
    """Count from which source pieces are drawn for training."""
    material = prepared.material(prepared.train, 512)
    one = material.at_home(material.names[0])
    asked: Counter[str] = Counter()

    def piece(name, *_, **__):
        asked[prepared.sources[name]] += 1
        return one

    material.piece = piece
    rng = np.random.default_rng(1)
    for _ in range(300):
        material.draw(rng)
    return asked


def test_the_shares_decide_what_is_drawn(two):
    pooled, equal = drawn(two()), drawn(two(("=0.5", "=0.5")))
    assert pooled["many"] > 1.4 * pooled["few"]
    assert 120 < equal["many"] < 180
    assert drawn(two(("=0.1", "=0.9")))["many"] < 50


def test_each_corpus_is_split_by_itself(two):
    prepared = two(("=0.5", "=0.5"))
    for side in (prepared.train, prepared.validation, prepared.test):
        assert {prepared.sources[name] for name in side} == {"many", "few"}
    assert all(name.split("/")[0] == prepared.sources[name] for name in prepared.train)


def test_styles_are_read_off_the_folders(tmp_path):
    root = tmp_path / "scores"
    write_chorales(root / "Romantic_Chopin, Frederic_Keyboard", 2)
    write_chorales(root / "Classical" / "Haydn, Joseph" / "Chamber", 2, first=2)
    write_chorales(root / "others", 2, first=4)
    prepared = prepare_sources(str(root), tmp_path / "work", CHORAL)
    assert prepared.every_style == [
        STYLE,
        ("Classical", "Haydn, Joseph", "Chamber"),
        ("Romantic", "Chopin, Frederic", "Keyboard"),
    ]
    material = prepared.material(prepared.train, 512)
    for name in prepared.train:
        style = prepared.styles.get(name, prepared.style)
        assert material._stream(name, 0, 0).startswith(f"%{style[0]}\n%{style[1]}\n%{style[2]}\n")


def test_a_style_that_no_piece_has_is_refused(tmp_path):
    root = tmp_path / "scores"
    write_chorales(root / "Romantic_Chopin, Frederic_Keyboard", 3)
    with pytest.raises(RequestError, match=r"No piece of .* has the style Folk/A/B") as raised:
        prepare_sources(str(root), tmp_path / "work", "Folk/A/B")
    assert "Romantic/Chopin, Frederic/Keyboard" in (str(raised.value.remedy))
    # Pieces without a style of their own take the one that is asked for.
    write_chorales(root / "others", 3, first=4)
    found = prepare_sources(str(root), tmp_path / "work", "Folk/A/B").every_style
    assert ("Folk", "A", "B") in found


def test_a_named_corpus_keeps_its_split_and_its_styles_beside_another(tmp_path, monkeypatch):
    from scoregate.notagen.training import tunes

    bars = ["ABcd|efga|d4|]", "dcBA|GFED|D4|]", "DFAd|fdAF|d4|]", "d2fa|gfed|D4|]"]
    book = write_tunebook(tmp_path / "oneills1850", bars)
    monkeypatch.setattr(tunes, "_files", lambda: [book])
    own = write_chorales(tmp_path / "own", 3)
    alone = prepare_sources("fiddle-tunes", tmp_path / "alone", CHORAL)
    both = prepare_sources(f"fiddle-tunes=0.5,{own}=0.5", tmp_path / "work", CHORAL)
    assert {f"fiddle-tunes/{name}" for name in alone.test} <= set(both.test)
    assert set(both.every_style) == {tunes.FIDDLE_STYLES["oneills1850"], STYLE}
    # Tunes are moved within a fiddle's compass, chorales within that of singers.
    assert set(both.material(both.train, 128).compasses.values()) == {
        tunes.FIDDLE_COMPASS, CHORALE_COMPASS,
    }  # fmt: skip
