"""Names of pieces that a person can say."""

import doctest

import pytest

from scoregate.archive import names
from scoregate.archive.names import piece_name, spoken_key


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("Baroque/Bach, Johann Sebastian/Choral", "Em", 12), "Chorale in E minor, 12 bars"),
        (("Romantic/Bruckner, Anton/Choral", "C", 1), "Choral piece in C major, 1 bar"),
        (("Classical/Haydn, Joseph/Orchestral", "F#mix", 3), "Orchestral piece in F sharp "
         "Mixolydian, 3 bars"),
        (("a/b/Zither", "D", None), "Piece in D major"),
        (("a style of my own", "<script>", True), "Piece"),
        ((None,), "Piece"),
        (("a/b/Keyboard", 7, -1), "Keyboard piece"),
    ],
)  # fmt: skip
def test_names(arguments, expected):
    assert piece_name(*arguments) == expected


@pytest.mark.parametrize(
    ("key", "expected"),
    [("G", "G major"), ("Bbm", "B flat minor"), ("C#min", "C sharp minor"), ("Gmaj", "G major"),
     ("E aeolian", "E Aeolian"), ("Dexp", ""), ("none", ""), ("", ""), (None, "")],
)  # fmt: skip
def test_keys_in_words(key, expected):
    assert spoken_key(key) == expected


def test_the_examples_hold():
    assert doctest.testmod(names).failed == 0
