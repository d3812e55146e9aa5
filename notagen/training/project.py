"""A training project as plain steps: collect, prepare, train, evaluate, write.

Each step takes what the one before gave and can be run again: what a killed run had done
is found in its folder. ``scoregate train`` strings them together.
"""

from __future__ import annotations

import csv
import json
import math
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import torch

from scoregate.convert.files import Loss, tally
from scoregate.errors import InputError, RequestError, ScoregateError
from scoregate.form import VERSION as FORM_VERSION
from scoregate.generator import Limits
from scoregate.notagen.engine import load
from scoregate.notagen.model.network import NotaGen
from scoregate.notagen.model.shape import shape_of
from scoregate.notagen.training.baselines import ngram_bits, unigram_bits
from scoregate.notagen.training.corpus import (
    CHORALE_STYLE,
    CHORALES,
    Corpus,
    Style,
    bach_chorales,
    collect,
    folder_files,
    in_metre,
    split,
)
from scoregate.notagen.training.encode import Example, encode_patches
from scoregate.notagen.training.guidance import Guidance, gather_guidance
from scoregate.notagen.training.material import Material
from scoregate.notagen.training.measures import CopyIndex, measure, summary
from scoregate.notagen.training.preferences import AcceptLine
from scoregate.notagen.training.stream import prompt_lines, stream_text
from scoregate.notagen.training.train import (
    Progress,
    Run,
    Settings,
    Stage,
    bits_per_character,
    load_settings,
    train,
)
from scoregate.notagen.training.tunes import (
    FIDDLE_COMPASS,
    FIDDLE_STYLES,
    FIDDLE_TUNES,
    fiddle_tunes,
)
from scoregate.notagen.weights import find, open_checkpoint, write_safetensors
from scoregate.sampling import Sampling

LM_HEAD = "char_level_decoder.base.lm_head.weight"
CHAR_WTE = "char_level_decoder.base.transformer.wte.weight"
SETTINGS = Path(__file__).parent / "settings"
LEAST_PIECES = 2
CHORALE_COMPASS = (38, 80)  # D2 to G sharp 5: what four singers of a choir reach
COMPASSES = {CHORALE_STYLE: CHORALE_COMPASS} | dict.fromkeys(FIDDLE_STYLES.values(), FIDDLE_COMPASS)
"""Pitches that a transposed piece of a named corpus may reach, by style."""


@dataclass(slots=True)
class Prepared:
    """Pieces ready to train on, split by tune.

    ``small`` says that there were too few tunes to hold any back: validation and test then
    repeat the training pieces, and their figures say nothing about new music. ``style`` is that
    of the pieces that ``styles`` does not name. ``sources`` names the corpus of each piece and
    ``shares`` those of the corpora, where there are several.
    """

    style: Style
    train: dict[str, str]
    validation: dict[str, str]
    test: dict[str, str]
    losses: list[Loss] = field(default_factory=list)
    small: bool = False
    styles: dict[str, Style] = field(default_factory=dict)
    sources: dict[str, str] = field(default_factory=dict)
    shares: dict[str, float] = field(default_factory=dict)

    def material(self, side: dict[str, str], limit: int, **more: Any) -> Material:
        """Return the pieces of a side as training material; see :class:`Material`."""
        compasses = {
            name: COMPASSES[style]
            for name in side
            if (style := self.styles.get(name, self.style)) in COMPASSES
        }
        return Material(
            side, self.style, limit, styles=self.styles, compasses=compasses,
            sources=self.sources, shares=self.shares, **more,
        )  # fmt: skip

    def streams(self, side: dict[str, str]) -> list[str]:
        """Return the pieces of a side as the model is to write them."""
        return [stream_text(t, self.styles.get(name, self.style)) for name, t in side.items()]

    @property
    def every_style(self) -> list[Style]:
        """Each style once."""
        pieces = {**self.train, **self.validation, **self.test}
        found = {self.styles.get(name, self.style) for name in pieces}
        return sorted(found) or [self.style]


@dataclass(slots=True)
class Evaluation:
    """Figures of a trained model, raw: nothing repaired, nothing resampled."""

    test_bits: float
    unigram_bits: float
    ngram_bits: float
    raw: dict[str, float]
    pieces: int
    seeds: list[int]
    texts: list[str] = field(default_factory=list)

    def as_dict(self) -> dict:
        """JSON-ready, without the texts."""
        found = asdict(self)
        del found["texts"]
        return found


def collect_scores(
    source: str | Path, folder: Path, on_file: Callable[[int], None] | None = None
) -> Corpus:
    """Convert a named corpus or a folder of scores.

    Parameters
    ----------
    source : str or Path
        ``bach-chorales``, ``fiddle-tunes``, or a folder of MusicXML, MXL, ABC or MIDI.
    folder : Path
        The project's own; a named corpus is kept there once converted.
    on_file : callable, optional
        Told how many files are done.

    Raises
    ------
    InputError
        Nothing was found, or fewer than two scores convert; the reasons are named.
    """
    if str(source) == CHORALES:
        return bach_chorales(folder / "corpus.json")
    if str(source) == FIDDLE_TUNES:
        return fiddle_tunes(folder / "corpus.json", on_file)
    corpus = collect(folder_files(Path(source)), on_file=on_file)
    if len(corpus.texts) < LEAST_PIECES:
        reasons = "; ".join(f"{x.name}: {x.reason}" for x in corpus.losses[:5])
        raise InputError(
            f"Only {len(corpus.texts)} of {len(corpus.texts) + len(corpus.losses)} scores "
            f"in {source} can be used. {reasons}",
            "Training needs two or more; mend the scores named, or name another folder.",
        )
    return corpus


def prepare(corpus: Corpus, style: Style) -> Prepared:
    """Split a corpus by tune; a named one without the pieces that contradict their metre.

    Pieces that the corpus names in ``not_trained`` leave the training side only, so that the other
    sides stay as the corpus is.

    Of a person's own scores nothing is left out for that: they may mean it.
    """
    sides = split(corpus.texts)
    if corpus.style is not None:
        sides = in_metre(corpus, sides)
    if sides.train != sides.test:
        sides.train = [name for name in sides.train if name not in corpus.not_trained]
    parts = [{n: corpus.texts[n] for n in names} for names in
             (sides.train, sides.validation, sides.test)]  # fmt: skip
    return Prepared(
        corpus.style if corpus.styles and corpus.style else style, *parts, losses=corpus.losses,
        small=sides.train == sides.test, styles=corpus.styles,
    )  # fmt: skip


def write_pieces(prepared: Prepared, folder: Path) -> dict[str, int]:
    """Write each piece as an ABC file below ``train/``, ``validation/`` or ``test/``.

    Returns
    -------
    dict of str to int
        Pieces by side.
    """
    sides = {"train": prepared.train, "validation": prepared.validation, "test": prepared.test}
    for side, pieces in sides.items():
        (folder / side).mkdir(parents=True, exist_ok=True)
        for name, text in pieces.items():
            (folder / side / f"{Path(name).stem}.abc").write_text("X:1\n" + text)
    return {side: len(pieces) for side, pieces in sides.items()}


def read_initial(name_or_path: str | Path) -> dict[str, torch.Tensor]:
    """Return the state dict of any NotaGen weights to go on from, in single precision.

    Raises
    ------
    WeightsError, UnreadableError
        Missing, damaged or foreign weights.
    """
    checkpoint = open_checkpoint(find(name_or_path))
    state = dict(checkpoint.read())
    for name, dims in checkpoint.shape.tensors().items():
        if name == LM_HEAD:
            state[name] = state[CHAR_WTE]
        elif name not in state:
            # The patch level's own embedding is never used and may be left out.
            state[name] = torch.zeros(dims)
    return state


def fine_tuning(
    initial: dict[str, torch.Tensor], pieces: int, steps: int | None = None, seed: int = 1
) -> Settings:
    """Return settings for going on from weights, their shape taken from them.

    A model that can write is to change its dialect, not to forget: the rate is half of the
    embedded model's for small weights, NotaGen's own for large ones. Without ``steps``, sixty
    passes over the pieces, 400 to 4,000 steps.
    """
    shape = shape_of({k: v.shape for k, v in initial.items()})
    steps = steps or max(400, min(4000, 60 * pieces))
    lr = 1e-3 if shape.hidden <= 256 else 1e-5
    return Settings(
        hidden=shape.hidden, patch_layers=shape.patch_layers, char_layers=shape.char_layers,
        length=shape.length, sounding=shape.sounding, auxiliary=0.0, muon=False, ema=0.99,
        seed=seed, warmup=min(50, steps // 4),
        stages=[Stage(steps, 0.0, 0.0, lr, lr / 10, 0.1)],
    )  # fmt: skip


def named_settings(name: str = "chorales", seed: int = 1) -> Settings:
    """Return settings that come with the program, or those of a file.

    Parameters
    ----------
    name : str
        Name of settings that come with the program, or a JSON file. ``chorales`` trains from
        random weights as the embedded model was; ``voice_leading`` goes on from its weights.
    seed : int

    Raises
    ------
    RequestError
        There are no such settings.
    """
    path = Path(name) if name.endswith(".json") else SETTINGS / f"{name}.json"
    if not path.is_file():
        known = ", ".join(sorted(file.stem for file in SETTINGS.glob("*.json")))
        raise RequestError(
            f"There are no settings {name!r:.200}.", f"There are: {known}; or name a JSON file."
        )
    settings = load_settings(path)
    settings.seed = seed
    return settings


def told(settings: Settings) -> dict[str, Any]:
    """Return what a model of these settings is told, as keywords of :meth:`Prepared.material`."""
    return {"sounding": bool(settings.sounding), "forms": settings.forms}


def examples_of(material: Material) -> list[Example]:
    """One example a piece, in its own key; what is longer than the context is cut."""
    return [material.at_home(name) for name in material.names]


# More than six parameters: the parts of a prepared project, each used once.
def train_model(
    prepared: Prepared,
    settings: Settings,
    folder: Path,
    *,
    initial: dict[str, torch.Tensor] | None = None,
    device: str = "cpu",
    patience: int = 0,
    threads: int | None = None,
    guidance: Guidance | None = None,
    on_progress: Callable[[Progress], None] | None = None,
) -> Run:
    """Train, or go on from the checkpoint in ``folder``.

    Parameters
    ----------
    patience : int
        Stop after so many validations without a better one and keep the best; 0 trains to
        the end of the schedule and keeps the last average.
    guidance : Guidance, optional
        From :func:`guidance_for`, where the settings ask for it.

    Raises
    ------
    RequestError
        There is no such device.
    WeightsError
        The folder's checkpoint is of another shape.
    ScoregateError
        A checkpoint can't be written, or the accelerator's memory is used up.
    """
    if device != "cpu" and not (device.startswith("cuda") and torch.cuda.is_available()):
        raise RequestError(f"There is no device {device!r} to train on.", "Take device cpu.")
    if threads or settings.hidden <= 256:
        # Small models lose more by waiting for a second thread than it gives.
        torch.set_num_threads(threads or 1)
    material = prepared.material(
        prepared.train, settings.length,
        corpus_keys=settings.corpus_keys, rare_keys=settings.rare_keys, triple=settings.triple,
        off_beat=settings.off_beat, repeats=settings.repeats,
        **told(settings),
    )  # fmt: skip
    settings = replace(settings, above=material.above)
    held = examples_of(prepared.material(prepared.validation, settings.length, **told(settings)))
    checkpoint = folder / "checkpoint.pt"
    run = Run.load(checkpoint, settings) if checkpoint.exists() else Run(settings, initial)
    run.to(device)
    if guidance is not None:
        guidance.teacher.to(device)
        guidance.above = material.above
        run.guidance = guidance
    report = max(10, min(500, settings.steps // 20))
    try:
        for progress in train(run, material, held, checkpoint, report, report * 4, patience):
            write_curve(folder, run.curve)
            if on_progress:
                on_progress(progress)
    except torch.OutOfMemoryError as error:
        raise ScoregateError(
            f"The memory of {device} is used up by a model of this size.",
            "Train on the CPU (device cpu), go on from smaller weights, or shorten the pieces.",
        ) from error
    return run


def guidance_for(
    prepared: Prepared,
    settings: Settings,
    weights: str | Path,
    folder: Path,
    accept_line: AcceptLine,
    *,
    line_tries: int,
    on_piece: Callable[[int], None] | None = None,
) -> Guidance | None:
    """Have the starting weights write what the settings ask for; None where that is nothing.

    Parameters
    ----------
    accept_line : callable
        Judge of lines for the pairs; `line_tries` is how often a line is tried under it.
    """
    if not settings.guided:
        return None
    initial = read_initial(weights)
    teacher = NotaGen(shape_of({name: value.shape for name, value in initial.items()}))
    teacher.load_state_dict(initial)
    prompts = ["".join(f"%{part}\n" for part in style) for style in prepared.every_style]
    return gather_guidance(
        find(weights), teacher, folder, prompts, accept_line,
        own=settings.own_pieces if settings.own else 0,
        judged=settings.judged_pieces if settings.pairs else 0,
        line_tries=line_tries, seed=settings.seed, on_piece=on_piece,
    )  # fmt: skip


def best_of(runs: Sequence[Run]) -> Run:
    """Return the run that is best on the validation pieces; the test pieces are not looked at."""
    return min(runs, key=last_validation)


def last_validation(run: Run) -> float:
    """Return a run's last bits per character on the validation pieces; infinite if it has none."""
    bits = [row["validation"] for row in run.curve if row["validation"] is not None]
    return bits[-1] if bits else math.inf


def write_curve(folder: Path, curve: list[dict]) -> None:
    """Write the curve as CSV."""
    if not curve:
        return
    with (folder / "curve.csv").open("w", newline="") as stream:
        writer = csv.DictWriter(stream, list(curve[-1]))
        writer.writeheader()
        writer.writerows(curve)


def evaluate_model(
    run: Run,
    prepared: Prepared,
    *,
    pieces: int = 100,
    seeds: tuple[int, ...] = (1, 2, 3),
    temperature: float = 1.0,
    on_piece: Callable[[int], None] | None = None,
) -> Evaluation:
    """Bits per character on the untouched pieces, and raw figures of what it writes.

    Pieces are drawn by the engine from the averaged weights, ``pieces`` in all over the seeds.
    """
    model = run.averaged()
    held = examples_of(prepared.material(prepared.test, run.settings.length, **told(run.settings)))
    train_text, test_text = prepared.streams(prepared.train), prepared.streams(prepared.test)
    copies = CopyIndex(prepared.train.values())
    prompts = [
        "".join(prompt_lines(style).splitlines(keepends=True)[:3]) for style in prepared.every_style
    ]
    # A model that does not end its pieces is cut at twice the longest that it was shown.
    most = 2 * max(len(encode_patches(text)) for text in train_text)
    texts: list[str] = []
    each = math.ceil(pieces / len(seeds))
    with tempfile.TemporaryDirectory() as place:
        weights = Path(place) / "weights.safetensors"
        write_weights(weights, run, "evaluated", prepared.every_style, "", {})
        engine = load(weights)
        for seed in seeds:
            wanted = [seed * 100_000 + i for i in range(each)]
            drawn = engine.generate(
                [prompts[i % len(prompts)] for i in range(each)],
                seeds=wanted,
                sampling=Sampling(temperature=temperature),
                limits=Limits(max_steps=most),
            )
            texts += [piece.raw for piece in drawn]
            if on_piece:
                on_piece(len(texts))
    measured = [measure(t, copies) for t in texts]
    return Evaluation(
        bits_per_character(model, held), unigram_bits(train_text, test_text),
        ngram_bits(train_text, test_text), summary(measured), len(texts), list(seeds), texts,
    )  # fmt: skip


def write_result(
    folder: Path, run: Run, prepared: Prepared, evaluation: Evaluation, name: str, trained_on: str
) -> dict[str, Path]:
    """Weights, card and figures of a run; returns their paths."""
    card = evaluation.as_dict() | {"steps": run.step, "patches": run.patches}
    weights = folder / f"{name}.safetensors"
    write_weights(weights, run, name, prepared.every_style, trained_on, card)
    figures = folder / "evaluation.json"
    figures.write_text(json.dumps(card, indent=1) + "\n")
    text = folder / f"{name}.md"
    text.write_text(model_card(name, prepared, evaluation, run, trained_on))
    write_curve(folder, run.curve)
    (folder / "pieces.txt").write_text("\n".join(evaluation.texts))
    return {"weights": weights, "card": text, "figures": figures, "curve": folder / "curve.csv"}


def write_weights(
    path: Path, run: Run, name: str, styles: list[Style], trained_on: str, card: dict
) -> None:
    """Write the averaged weights in half precision, with what a reader must know as metadata."""
    metadata = {
        "name": name,
        "styles": json.dumps([list(style) for style in styles]),
        "trained_on": trained_on,
        **({"forms": str(FORM_VERSION)} if run.settings.forms else {}),
        "card": json.dumps(card, sort_keys=True),
    }
    tensors = ((key, value) for key, value in run.average.items() if key != LM_HEAD)
    write_safetensors(path, tensors, metadata, run.settings.shape, "F16")


def model_card(
    name: str, prepared: Prepared, evaluation: Evaluation, run: Run, trained_on: str
) -> str:
    """Return a model card in Markdown, figures raw."""
    shape = run.settings.shape
    lost = "".join(f"\n  - {reason}: {n}" for reason, n in tally(prepared.losses).items())
    prompts = "; ".join(" / ".join("%" + part for part in style) for style in prepared.every_style)
    rows = "".join(f"| {key} | {value:.3f} |\n" for key, value in evaluation.raw.items())
    warning = (
        "\n**Too few tunes to hold any back: the test figures repeat training pieces.**\n"
        if prepared.small
        else ""
    )
    return f"""# {name}

A NotaGen model of {shape.parameters():,} parameters (width {shape.hidden}, {shape.patch_layers}
patch layers, {shape.char_layers} character layers, {shape.length} patches), trained for
{run.step:,} steps on {trained_on}.

- Prompt: {prompts}
- Pieces: {len(prepared.train)} to train, {len(prepared.validation)} to validate,
  {len(prepared.test)} to test, split by tune; {len(prepared.losses)} lost{lost}
{warning}
## Figures

Bits per character on the test pieces: {evaluation.test_bits:.3f}
(unigram {evaluation.unigram_bits:.3f}, 7-gram {evaluation.ngram_bits:.3f}).

{evaluation.pieces} pieces drawn at temperature 1.0, top_k 9, top_p 0.9, as written: nothing
repaired, nothing resampled.

| figure | value |
|---|---|
{rows}"""
