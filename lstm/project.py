"""A training project as plain steps: prepare, train, evaluate, write.

The project's folder keeps the parsed scores, the checkpoint and the results, so that the same
call goes on where a killed one was.
"""

from __future__ import annotations

import csv
import itertools
import json
import math
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np

from scoregate.errors import RequestError, UnreadableError
from scoregate.lstm.corpus import Corpus, Loss, collect, split
from scoregate.lstm.model import LstmModel, nats_per_word
from scoregate.lstm.training import Run, Settings, train
from scoregate.lstm.vocabulary import UNKNOWN, Vocabulary, words_of
from scoregate.lstm.weights import write_weights


@dataclass(slots=True)
class Prepared:
    """A corpus, ready for training.

    Attributes
    ----------
    train, validation, test : list of list of int
        Pieces as tokens; no tune is on two sides.
    vocabulary : Vocabulary
        Of the training side.
    styles : list of str
    losses : list of Loss
        Scores that could not be used.
    """

    train: list[list[int]]
    validation: list[list[int]]
    test: list[list[int]]
    vocabulary: Vocabulary
    styles: list[str]
    losses: list[Loss]


@dataclass(slots=True)
class Evaluation:
    """Figures of a trained model.

    Attributes
    ----------
    test_nats : float
        Mean loss in nats a word on the test pieces.
    unigram_nats, bigram_nats : float
        The same of models that know the words' frequencies, and those of pairs of words.
    unknown : float
        Share of the test side's words that are not in the vocabulary.
    """

    test_nats: float
    unigram_nats: float
    bigram_nats: float
    unknown: float


def prepare(
    sources: Iterable[str],
    folder: Path,
    style: str | None = None,
    on_file: Callable[[int, int], None] | None = None,
) -> Prepared:
    """Collect scores, split them by tune, and encode them; see :func:`corpus.collect`."""
    return encode(collect(sources, folder, style, on_file))


def encode(corpus: Corpus) -> Prepared:
    """Split a corpus by tune and encode its pieces."""
    sides = split(corpus)
    words = {
        side: [words_of(piece, own) for own, piece in getattr(sides, side)]
        for side in ("train", "validation", "test")
    }
    vocabulary = Vocabulary.of(words["train"])
    encoded = {side: [vocabulary.encode(each) for each in pieces] for side, pieces in words.items()}
    return Prepared(
        encoded["train"],
        encoded["validation"],
        encoded["test"],
        vocabulary,
        corpus.styles,
        corpus.losses,
    )


def load_settings(name: str, **changes: Any) -> Settings:
    """Read settings by name (committed with the package) or from a JSON file.

    Parameters
    ----------
    name : str
    **changes
        Values that replace the file's; those that are None are left out.

    Raises
    ------
    UnreadableError, RequestError
    """
    found = resources.files("scoregate.lstm").joinpath("settings", f"{name}.json")
    try:
        text = found.read_text() if found.is_file() else Path(name).read_text("utf-8")
        values = json.loads(text) | {key: v for key, v in changes.items() if v is not None}
        return Settings(**values)
    except OSError as error:
        raise UnreadableError(
            f"There are no settings {name!r}.", "Name a JSON file, or take `tunes`."
        ) from error
    except (ValueError, TypeError) as error:
        raise RequestError(
            f"The settings {name!r} are not valid: {error}.",
            "See lstm/settings/tunes.json for the fields.",
        ) from error


def train_model(
    prepared: Prepared,
    settings: Settings,
    folder: Path,
    on_progress: Callable[[Run], None] | None = None,
    device: str = "cpu",
) -> tuple[Run, LstmModel]:
    """Train, or go on from the folder's checkpoint; see :func:`training.train`."""
    run = Run(settings, len(prepared.vocabulary))
    model = train(run, prepared.train, prepared.validation, folder, on_progress, device)
    return run, model


def evaluate(model: LstmModel, prepared: Prepared) -> Evaluation:
    """Measure a model on the test side, beside models that know frequencies only."""
    unknown = prepared.vocabulary.encode([UNKNOWN])[0]
    tokens = [token for piece in prepared.test for token in piece[1:]]
    return Evaluation(
        test_nats=nats_per_word(model, prepared.test),
        unigram_nats=_unigram_nats(prepared),
        bigram_nats=_bigram_nats(prepared),
        unknown=tokens.count(unknown) / len(tokens),
    )


def write_result(
    folder: Path, name: str, trained: tuple[Run, LstmModel], prepared: Prepared, found: Evaluation
) -> dict[str, Path]:
    """Write weights, card, figures and curve; return their paths by kind.

    Parameters
    ----------
    folder : Path
    name : str
        Of the weights.
    trained : (Run, LstmModel)
        As :func:`train_model` returns them.
    prepared : Prepared
    found : Evaluation
    """
    run, model = trained
    card = {
        "settings": asdict(run.settings),
        "pieces": {side: len(getattr(prepared, side)) for side in ("train", "validation", "test")},
        "words": len(prepared.vocabulary),
        "parameters": sum(tensor.numel() for tensor in model.parameters()),
        "steps": run.step,
        "processor_seconds": round(run.seconds, 1),
        "validation_nats": run.best,
        **{key: round(value, 4) for key, value in asdict(found).items()},
    }
    paths = {
        "weights": folder / f"{name}.safetensors",
        "card": folder / f"{name}.md",
        "figures": folder / f"{name}.json",
        "curve": folder / "curve.csv",
    }
    write_weights(paths["weights"], model, prepared.vocabulary, prepared.styles, card)
    paths["figures"].write_text(json.dumps(card, indent=1) + "\n")
    paths["card"].write_text(_card(name, card, prepared))
    with paths["curve"].open("w", newline="") as file:
        writer = csv.DictWriter(file, list(run.curve[-1]))
        writer.writeheader()
        writer.writerows(run.curve)
    return paths


def _unigram_nats(prepared: Prepared) -> float:
    counts = Counter(token for piece in prepared.train for token in piece[1:])
    total = sum(counts.values()) + len(prepared.vocabulary)
    tokens = [token for piece in prepared.test for token in piece[1:]]
    return float(np.mean([-math.log((counts[token] + 1) / total) for token in tokens]))


def _bigram_nats(prepared: Prepared) -> float:
    """Return the loss of a bigram model with Witten-Bell smoothing over the unigram."""
    single = Counter(token for piece in prepared.train for token in piece[1:])
    total = sum(single.values()) + len(prepared.vocabulary)
    pairs = Counter(pair for piece in prepared.train for pair in itertools.pairwise(piece))
    first = Counter(token for piece in prepared.train for token in piece[:-1])
    kinds = Counter(before for before, _ in pairs)
    losses = []
    for piece in prepared.test:
        for before, after in itertools.pairwise(piece):
            below = (single[after] + 1) / total
            weight = kinds[before] / (first[before] + kinds[before]) if first[before] else 1.0
            seen = pairs[before, after] / first[before] if first[before] else 0.0
            losses.append(-math.log((1 - weight) * seen + weight * below))
    return float(np.mean(losses))


def _card(name: str, card: dict[str, Any], prepared: Prepared) -> str:
    settings = ", ".join(f"{key} {value}" for key, value in card["settings"].items())
    pieces = card["pieces"]
    styles = "\n".join(f"- {style}" for style in prepared.styles)
    return f"""# {name}: weights of the LSTM

{card["parameters"]:,} parameters, {card["words"]} words.

Styles:

{styles}

Pieces: {pieces["train"]} for training, {pieces["validation"]} for validation, {pieces["test"]} \
for the test; {len(prepared.losses)} scores could not be used.

| loss on the test pieces | nats a word |
|---|---|
| this model | {card["test_nats"]:.3f} |
| pairs of words (Witten-Bell) | {card["bigram_nats"]:.3f} |
| frequencies of words | {card["unigram_nats"]:.3f} |

{card["unknown"]:.2%} of the test pieces' words are not in the vocabulary.

Trained {card["steps"]} steps in {card["processor_seconds"]:.0f} processor seconds with: {settings}.
"""
