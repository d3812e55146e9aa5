"""Corpus, vocabulary, training, weights and generator of the LSTM, with tiny models."""

from __future__ import annotations

import json
import random
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import pytest
import torch

from scoregate import lstm
from scoregate.abc.reader import read
from scoregate.errors import InputError, RequestError, ScoregateError, UnreadableError, WeightsError
from scoregate.generator import Generator, Limits, find_generator
from scoregate.lstm import corpus
from scoregate.lstm.corpus import Corpus, Loss, collect, parse_file, split
from scoregate.lstm.events import Event, Piece
from scoregate.lstm.model import LstmModel, LstmShape, loss_of, nats_per_word
from scoregate.lstm.project import Prepared, evaluate, load_settings, train_model, write_result
from scoregate.lstm.training import DivergedError, Settings, batches, windows
from scoregate.lstm.vocabulary import END, UNKNOWN, Vocabulary, words_of
from scoregate.lstm.weights import read_metadata, read_weights, write_weights
from scoregate.sampling import Sampling

pytestmark = pytest.mark.slow
STYLE = "Folk/Nobody/Fiddle"
TINY = Settings(
    embedding=8, hidden=12, layers=2, length=20, batch=4, lr=1e-2, steps=12, validate_every=4
)


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def tunes(count: int = 30) -> list[Piece]:
    """Return walks over a scale, in 4/4 and 6/8."""
    rng = random.Random(5)
    made = []
    for number in range(count):
        place, events = 4, []
        for _ in range(16):
            place = min(max(place + rng.choice((-1, 1)), 0), 7)
            pitch = (60, 62, 64, 65, 67, 69, 71, 72)[place]
            events.append(Event((pitch,), Fraction(rng.choice((1, 2)), 2)))
        made.append(Piece(f"tune {number}", tuple(events), rng.choice(("4/4", "6/8"))))
    return made


def prepared_of(pieces: list[Piece]) -> Prepared:
    sides = split(Corpus([(STYLE, piece) for piece in pieces]), share=0.1)
    words = [words_of(piece, style) for style, piece in sides.train]
    vocabulary = Vocabulary.of(words)

    def encode(side: list[tuple[str, Piece]]) -> list[list[int]]:
        return [vocabulary.encode(words_of(piece, style)) for style, piece in side]

    return Prepared(
        encode(sides.train), encode(sides.validation), encode(sides.test), vocabulary, [STYLE], []
    )


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> Path:
    """Weights of a model that was trained for a moment."""
    prepared, folder = prepared_of(tunes()), tmp_path_factory.mktemp("trained")
    result = train_model(prepared, TINY, folder)
    return write_result(folder, "tiny", result, prepared, evaluate(result[1], prepared))["weights"]


# The corpus


def test_a_folder_without_scores_is_named(tmp_path):
    (tmp_path / "readme.txt").write_text("no music")
    with pytest.raises(InputError, match="0 usable scores") as caught:
        collect([str(tmp_path)], tmp_path / "project")
    assert ".mid" in caught.value.remedy


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(UnreadableError, match="no such folder"):
        collect([str(tmp_path / "nowhere")], tmp_path)


def kept(folder: Path, pieces: list[Piece], sources: list[str], losses: int = 0) -> None:
    """Write what an earlier call of ``collect`` has parsed."""
    from scoregate.lstm.corpus import _write

    wanted = json.dumps({"sources": sources, "style": None})
    found = Corpus([(STYLE, piece) for piece in pieces], [Loss("x.mid", "no notes")] * losses)
    _write(folder / "pieces.jsonl", wanted, found)


def test_what_was_parsed_is_read_again(tmp_path):
    pieces = tunes(12)
    kept(tmp_path, pieces, ["a"], losses=2)
    found = collect(["a"], tmp_path)
    assert [piece for _, piece in found.pieces] == pieces
    assert found.losses == [Loss("x.mid", "no notes")] * 2
    assert found.styles == [STYLE]


def test_a_single_piece_is_too_few(tmp_path):
    kept(tmp_path, tunes(1), ["a"], losses=1)
    with pytest.raises(InputError, match="1 usable scores, and training needs 10") as caught:
        collect(["a"], tmp_path)
    assert "x.mid: no notes" in caught.value.problem


def test_one_and_the_same_event_is_nothing_to_learn(tmp_path):
    same = [Piece(str(n), (Event((60,), Fraction(1)),) * 8, "4/4") for n in range(12)]
    kept(tmp_path, same, ["a"])
    with pytest.raises(InputError, match="one and the same event"):
        collect(["a"], tmp_path)


def test_a_damaged_file_is_a_loss_with_its_reason(tmp_path):
    for name, content in (
        ("cut.mid", b"MThd\x00\x00\x00\x06\x00\x01\x00\x01\x01\xe0MTrk\x00\x00\x00\x40\x00\x90"),
        ("text.mid", b"no midi at all"),
        ("empty.mid", b""),
        ("cut.musicxml", b"<?xml version='1.0'?><score-partwise><part"),
    ):
        path = tmp_path / name
        path.write_bytes(content)
        (loss,) = parse_file(path)
        assert isinstance(loss, Loss), name
        assert loss.name == name
        assert loss.reason


def test_a_huge_file_is_not_parsed(tmp_path):
    path = tmp_path / "huge.mid"
    with path.open("wb") as file:
        file.truncate(9 * 2**20)
    assert parse_file(path) == [Loss("huge.mid", "larger than 8 MiB")]


def test_transposed_tunes_stay_on_one_side():
    pieces = tunes(40)
    moved = [
        Piece(
            f"{piece.name} up",
            tuple(Event(tuple(p + 2 for p in e.pitches), e.duration) for e in piece.events),
            piece.metre,
        )
        for piece in pieces
    ]
    sides = split(Corpus([(STYLE, piece) for piece in pieces + moved]), share=0.2)
    for side in (sides.train, sides.validation, sides.test):
        names = {piece.name for _, piece in side}
        assert {name.removesuffix(" up") for name in names} == {
            name for name in names if not name.endswith(" up")
        }


# The vocabulary


def test_words_that_occur_once_are_unknown():
    vocabulary = Vocabulary.of([["<style a>", "60:1", "60:1", "61:1", END]])
    assert "61:1" not in vocabulary.words
    known, unknown = vocabulary.token("60:1"), vocabulary.token(UNKNOWN)
    assert vocabulary.encode(["60:1", "61:1"]) == [known, unknown]


def test_a_vocabulary_with_a_word_twice_is_refused():
    with pytest.raises(WeightsError, match="damaged"):
        Vocabulary((END, UNKNOWN, "60:1", "60:1"))


# Training


def test_windows_predict_each_word_once():
    pieces = [list(range(n)) for n in (2, 21, 50, 101)]
    for piece, length in ((piece, length) for piece in pieces for length in (5, 20, 100)):
        cut = windows([piece], length)
        assert [word for window in cut for word in window[1:]] == piece[1:]
        assert all(len(window) <= length + 1 for window in cut)


def test_batches_go_on_at_any_number():
    data = [list(range(3 + n % 5)) for n in range(23)]
    stream = batches(data, 4, seed=1)
    every = [next(stream) for _ in range(14)]
    later = batches(data, 4, seed=1, first=9)
    assert all(torch.equal(next(later), batch) for batch in every[9:])


def test_padding_changes_no_loss():
    torch.manual_seed(1)
    model = LstmModel(LstmShape(9, 4, 6, 2)).eval()
    pieces = [[1, 2, 3, 4], [5, 6, 7, 8, 1, 2, 3]]
    alone = [float(loss_of(model, torch.tensor([piece]), -1).detach()) for piece in pieces]
    words = [len(piece) - 1 for piece in pieces]
    expected = sum(a * n for a, n in zip(alone, words, strict=True)) / sum(words)
    assert nats_per_word(model, pieces) == pytest.approx(expected, rel=1e-5)


class Killed(Exception):
    """Stands for a kill."""


def test_a_killed_run_ends_as_an_unbroken_one(tmp_path):
    prepared = prepared_of(tunes())
    whole, model = train_model(prepared, TINY, tmp_path / "whole")

    def kill(run):
        raise Killed

    for _ in range(2):  # killed after steps 4 and 8
        with pytest.raises(Killed):
            train_model(prepared, TINY, tmp_path / "killed", kill)
    again, same = train_model(prepared, TINY, tmp_path / "killed")
    assert again.step == whole.step == 12
    assert [row["validation"] for row in again.curve] == [row["validation"] for row in whole.curve]
    assert all(
        torch.equal(a, b) for a, b in zip(model.parameters(), same.parameters(), strict=True)
    )


def test_training_lowers_the_loss(tmp_path):
    prepared = prepared_of(tunes())
    run, model = train_model(prepared, TINY, tmp_path)
    untrained = LstmModel(model.shape).eval()
    assert nats_per_word(model, prepared.test) < nats_per_word(untrained, prepared.test)
    assert round(run.best, 4) == min(row["validation"] for row in run.curve)


def test_early_stopping_keeps_the_best(tmp_path):
    prepared = prepared_of(tunes())
    settings = load_settings("tunes", embedding=8, hidden=12, layers=1, lr=0.0, steps=500)
    settings = load_settings("tunes", **{**_values(settings), "patience": 2, "validate_every": 1})
    run, _ = train_model(prepared, settings, tmp_path)
    assert run.step == 3  # one validation, and two that were not better


def _values(settings: Settings) -> dict:
    return {name: getattr(settings, name) for name in settings.__dataclass_fields__}


def test_divergence_is_an_error_and_stays_one(tmp_path):
    prepared = prepared_of(tunes())
    settings = load_settings("tunes", embedding=8, hidden=12, lr=1e30, steps=20)
    for _ in range(2):  # the second call reads the checkpoint
        with pytest.raises(DivergedError, match="diverged after") as caught:
            train_model(prepared, settings, tmp_path)
        assert "learning rate" in caught.value.remedy
    assert json.loads((tmp_path / "curve.json").read_text())["diverged"] is True


def test_a_checkpoint_of_other_settings_is_not_continued(tmp_path):
    prepared = prepared_of(tunes())
    train_model(prepared, TINY, tmp_path)
    other = load_settings("tunes", **{**_values(TINY), "hidden": 16})
    with pytest.raises(ScoregateError, match="other settings"):
        train_model(prepared, other, tmp_path)


def test_without_decay_a_run_may_be_made_longer(tmp_path):
    prepared = prepared_of(tunes())
    values = _values(TINY) | {"decay": False}
    train_model(prepared, load_settings("tunes", **values | {"steps": 4}), tmp_path / "a")
    longer, _ = train_model(prepared, load_settings("tunes", **values), tmp_path / "a")
    whole, _ = train_model(prepared, load_settings("tunes", **values), tmp_path / "b")
    assert [row["validation"] for row in longer.curve] == [row["validation"] for row in whole.curve]


def test_settings_that_are_wrong_are_named(tmp_path):
    (tmp_path / "s.json").write_text('{"colour": 1}')
    with pytest.raises(RequestError, match="colour"):
        load_settings(str(tmp_path / "s.json"))
    with pytest.raises(UnreadableError):
        load_settings("nowhere")


# Weights


def test_weights_carry_vocabulary_styles_and_card(trained):
    found = read_metadata(trained)
    assert [str(style) for style in found.styles] == [STYLE]
    assert found.card["steps"] == 12
    assert found.vocabulary.words[:2] == (END, UNKNOWN)
    assert "| this model |" in trained.with_suffix(".md").read_text()


def test_weights_with_another_vocabulary_are_refused(trained, tmp_path):
    read = read_weights(trained)
    model = LstmModel(read.shape)
    model.load_state_dict(read.tensors)
    smaller = Vocabulary(read.metadata.vocabulary.words[:-1])
    write_weights(tmp_path / "w.safetensors", model, smaller, [STYLE], {})
    with pytest.raises(WeightsError, match="words in the tensors"):
        read_weights(tmp_path / "w.safetensors")


def test_other_files_are_no_weights(trained, tmp_path):
    cut = tmp_path / "cut.safetensors"
    cut.write_bytes(trained.read_bytes()[:-50])
    with pytest.raises(WeightsError):
        read_weights(cut)
    chorales = Path(__file__).parent.parent / "notagen" / "weights" / "chorales.safetensors"
    with pytest.raises(WeightsError, match="not weights of the LSTM"):
        lstm.trained_styles(chorales)
    with pytest.raises(UnreadableError, match="no such weights"):
        lstm.load(tmp_path / "nowhere")


# The generator


@pytest.fixture(scope="module")
def generator(trained) -> Generator:
    return lstm.load(trained, device="cpu")


SHORT = Limits(max_steps=40)


def test_a_seed_gives_the_same_text_alone_and_in_any_batch(generator):
    together = generator.generate([STYLE] * 20, seeds=range(20), limits=SHORT)
    alone = generator.generate([STYLE], seeds=[17], limits=SHORT)
    small = generator.generate([STYLE] * 3, seeds=[3, 17, 4], limits=Limits(40, batch_size=2))
    assert together[17].raw == alone[0].raw == small[1].raw
    assert len({piece.raw for piece in together}) > 15


def test_each_piece_has_prompt_metre_key_and_full_bars(generator):
    for piece in generator.generate([STYLE] * 4, seeds=range(4), limits=SHORT):
        assert piece.raw.startswith("%Folk\n%Nobody\n%Fiddle\n")
        score = read(piece.text)
        assert score.bar_count == piece.bars
        lengths = {bar.duration for bar in score.voices[0].bars[:-1]}
        assert len(lengths) <= 1


def test_sampling_and_limits_are_kept(generator):
    greedy = generator.generate([STYLE] * 2, seeds=[1, 2], sampling=Sampling(top_k=1), limits=SHORT)
    assert greedy[0].raw == greedy[1].raw
    assert all(piece.steps <= 40 for piece in greedy)
    assert {piece.ended for piece in greedy} <= {"finished", "length"}


def test_progress_is_told(generator):
    told = []
    generator.generate([STYLE] * 2, seeds=[1, 2], limits=SHORT, on_progress=told.append)
    assert told[-1].done == 2
    assert all(a.steps < b.steps for a, b in pairwise(told))


def test_an_untrained_style_is_refused(generator):
    with pytest.raises(RequestError, match="not trained on the style") as caught:
        generator.generate(["Baroque/Bach, Johann Sebastian/Choral"])
    assert STYLE in caught.value.remedy


def test_wrong_requests_are_refused(generator, trained):
    with pytest.raises(RequestError, match="no prompts"):
        generator.generate([])
    with pytest.raises(RequestError, match="2 prompts and 1 seeds"):
        generator.generate([STYLE] * 2, seeds=[1])
    with pytest.raises(RequestError, match="precision"):
        lstm.load(trained, precision="int8")
    with pytest.raises(RequestError, match="device"):
        lstm.load(trained, device="nowhere")


# The embedded weights


def test_the_embedded_weights_are_small_and_generate():
    factory = find_generator("lstm")
    assert read_metadata(Path(lstm.__file__).parent / "embedded" / "tunes.safetensors")
    size = (Path(lstm.__file__).parent / "embedded" / "tunes.safetensors").stat().st_size
    assert size <= 4 * 2**20
    styles = factory.trained_styles(None)
    assert styles
    loaded = factory.load(None, "cpu")
    assert isinstance(loaded, Generator)
    (piece,) = loaded.generate([styles[0]], seeds=[3])
    assert piece.ended == "finished"
    assert loaded.provenance().generator == "lstm"


def test_a_tuplet_is_completed_before_anything_else_follows(trained):
    """Whatever the weights: here they are random and the vocabulary has triplets."""
    words = ["<metre 4/4>", "<metre 6/8>", "<pickup 0>", "<pickup 1>"]
    words += ["60:1", "62:1/2", "64:1/3", "65:2/3", "67:1/6", "69:1/5"]
    vocabulary = Vocabulary((END, UNKNOWN, f"<style {STYLE}>", *words))
    torch.manual_seed(3)
    model = LstmModel(LstmShape(len(vocabulary), 8, 8, 1))
    path = trained.with_name("triplets.safetensors")
    write_weights(path, model, vocabulary, [STYLE], {})
    written = lstm.load(path, device="cpu").generate(
        [STYLE] * 40, seeds=range(40), sampling=Sampling(1.0, 0, 1.0), limits=Limits(300)
    )
    finished = [piece for piece in written if piece.ended == "finished"]
    assert len(finished) > 5
    assert any("(3:2" in piece.raw for piece in finished)
    durations = {pitch: Fraction(text) for pitch, _, text in (w.partition(":") for w in words[4:])}
    for piece in finished:
        time = Fraction(0)
        for bar in read(piece.text).voices[0].bars:
            for event in bar.events:
                if not event.pitches or event.tied_pitches:
                    continue
                duration = durations[str(event.pitches[0])]
                for odd in (3, 5):
                    if time.denominator % odd == 0:
                        assert duration.denominator % odd == 0
                time += duration
        assert time.denominator in (1, 2)


def test_some_files_are_drawn_evenly_and_kept_apart_from_all(tmp_path, monkeypatch):
    every = tunes(40)
    files = [(Path(piece.name), STYLE) for piece in every]
    parsed: list[list[str]] = []

    def parse(chosen, on_file):
        names = [path.name for path, _ in chosen]
        parsed.append(names)
        return Corpus([(STYLE, piece) for piece in every if piece.name in names])

    monkeypatch.setattr(corpus, "_files", lambda name, style: files)
    monkeypatch.setattr(corpus, "_parse_all", parse)
    assert len(collect(["a"], tmp_path, most_files=10).pieces) == 10
    assert parsed == [[f"tune {number}" for number in range(0, 40, 4)]]
    assert len(collect(["a"], tmp_path, most_files=10).pieces) == 10
    assert len(parsed) == 1  # what was kept is read
    assert len(collect(["a"], tmp_path).pieces) == 40
