"""Styles: parsing, the combinations of NotaGen-X, what to say about others."""

from __future__ import annotations

import pytest

from scoregate.errors import RequestError
from scoregate.notagen.text.styles import NOTAGEN_X
from scoregate.styles import Style, nearest, parse, resolve
from scoregate.transliteration import to_ascii

BACH = Style("Baroque", "Bach, Johann Sebastian", "Choral")


def test_notagen_x_has_112_combinations_of_62_composers():
    assert len(set(NOTAGEN_X)) == 112
    assert len({style.composer for style in NOTAGEN_X}) == 62
    assert {style.period for style in NOTAGEN_X} == {"Baroque", "Classical", "Romantic"}


@pytest.mark.parametrize(
    "text",
    [
        "Baroque/Bach, Johann Sebastian/Choral",
        "Baroque_Bach, Johann Sebastian_Choral",
        " Baroque / Bach, Johann  Sebastian / Choral ",
        "%Baroque\n%Bach, Johann Sebastian\n%Choral\n",
        "%Baroque\n%Bach, Johann Sebastian\n%Choral\n%end\n",
        BACH,
    ],
)
def test_style_is_read_from_its_forms(text):
    assert parse(text) == BACH


def test_style_writes_its_name_and_its_prompt():
    assert str(BACH) == "Baroque/Bach, Johann Sebastian/Choral"
    assert BACH.prompt == "%Baroque\n%Bach, Johann Sebastian\n%Choral\n"


@pytest.mark.parametrize("text", ["", "Baroque", "a/b", "a//c", "a/b/c/d"])
def test_text_without_three_parts_is_no_style(text):
    with pytest.raises(RequestError, match="is no style"):
        parse(text)


def test_capitals_and_accents_do_not_matter():
    assert resolve("romantic/DVOŘÁK, Antonín/chamber", trained=NOTAGEN_X) == Style(
        "Romantic", "Dvorak, Antonin", "Chamber"
    )


def test_part_of_a_name_is_enough_where_it_is_clear():
    assert resolve("satie/keyboard", trained=NOTAGEN_X).composer == "Satie, Erik"
    with pytest.raises(RequestError, match="may mean 2 styles"):
        resolve("chopin", trained=NOTAGEN_X)


def test_prompt_lines_are_resolved_like_any_other_form():
    assert resolve(BACH.prompt + "%end\n", trained=NOTAGEN_X) == BACH
    with pytest.raises(RequestError, match="not trained on"):
        resolve("%Baroque\n%Chopin, Frederic\n%Keyboard\n", trained=NOTAGEN_X)


@pytest.mark.parametrize("text", ["", " ", "/", "_/"])
def test_empty_style_means_none_even_where_there_is_one_only(text):
    with pytest.raises(RequestError, match="is empty"):
        resolve(text, trained=[BACH])


def test_combination_not_trained_on_names_the_nearest():
    with pytest.raises(RequestError) as caught:
        resolve("Baroque/Chopin, Frederic/Keyboard", trained=NOTAGEN_X)
    assert "not trained on" in caught.value.problem
    assert "'Romantic/Chopin, Frederic/Keyboard'" in caught.value.remedy


def test_combination_not_trained_on_is_taken_when_asked_for():
    style = resolve("baroque/chopin, frederic/organ", trained=NOTAGEN_X, allow_untrained=True)
    assert style == Style("Baroque", "Chopin, Frederic", "organ")


def test_weights_without_styles_take_any():
    assert resolve("a/b/c", trained=None) == Style("a", "b", "c")


def test_nearest_is_the_same_composer():
    assert nearest("Mozart/Orchestra", NOTAGEN_X)[0].composer == "Mozart, Wolfgang Amadeus"


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("Dvořák", "Dvorak"),
        ("Händel – Größe", "Handel - Grosse"),
        ("K:F♯m", "K:F#m"),
        ("plain\n", "plain\n"),
        ("a\x00\x01\x02b", "ab"),
        ("a\r\nb\rc\x0bd\u2028e", "a\nb\nc\nd\ne"),
        ("a\ud800b", "ab"),
        ("音楽", ""),
    ],
)
def test_text_is_transliterated(text, plain):
    assert to_ascii(text) == plain
