"""The corpus: what contradicts its own metre leaves it, and nothing else moves."""

from scoregate.notagen.training.corpus import OUT_OF_METRE, Corpus, Split, in_metre, rejoin

HEAD = "%%score [ 1 2 ]\nL:1/8\nM:4/4\nK:C\nV:1 treble\nV:2 bass\n"
FULL = "[V:1]c2 d2 e2 f2|[V:2]C2 D2 E2 F2|\n"
LONG = "[V:1]c2 d2 e2 f2 g2|[V:2]C2 D2 E2 F2 G2|\n"
LAST = "[V:1]c8|][V:2]C8|]\n"


def test_a_piece_with_a_bar_too_long_is_a_loss_and_the_others_keep_their_side():
    texts = dict.fromkeys(("a", "b", "c"), HEAD + FULL + FULL + LAST)
    texts["d"] = HEAD + FULL + LONG + LAST
    corpus = Corpus(texts)
    sides = in_metre(corpus, Split(train=["a", "d"], validation=["b"], test=["c"]))
    assert (sides.train, sides.validation, sides.test) == (["a"], ["b"], ["c"])
    assert [(loss.name, loss.reason) for loss in corpus.losses] == [("d", OUT_OF_METRE)]
    in_metre(corpus, sides)
    assert len(corpus.losses) == 1


def test_a_tune_on_several_sides_goes_to_training_as_a_whole():
    sides = Split(["a", "b"], ["c"], ["d", "e"])
    found = rejoin(sides, [("a", "d"), ("c",), ("x", "y")])
    assert (found.train, found.validation, found.test) == (["a", "b", "d"], ["c"], ["e"])
    found = rejoin(sides, [("c", "e")])
    assert (found.train, found.validation, found.test) == (["a", "b", "c", "e"], [], ["d"])
    assert rejoin(sides, []) == sides
