"""The making of the embedded model, repeatable by anyone.

::

    python -m scoregate.notagen.training train FOLDER [SETTINGS.json]    train, or go on after a
    kill
    python -m scoregate.notagen.training evaluate FOLDER [PIECES]        figures of what it writes,
    raw
    python -m scoregate.notagen.training ship FOLDER WEIGHTS             weights and card from both

FOLDER keeps the converted corpus, the checkpoint, the curve and the figures.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import torch

from scoregate.notagen.training.corpus import CHORALE_STYLE
from scoregate.notagen.training.project import (
    SETTINGS,
    Evaluation,
    Prepared,
    collect_scores,
    evaluate_model,
    model_card,
    prepare,
    train_model,
    write_curve,
    write_weights,
)
from scoregate.notagen.training.train import Progress, Run, load_settings

CORPUS = "bach-chorales"
TRAINED_ON = "rule-made chorales, then Bach chorales of the music21 corpus"


def _prepared(folder: Path) -> Prepared:
    return prepare(collect_scores(CORPUS, folder), CHORALE_STYLE)


def _say(p: Progress) -> None:
    bits = "" if p.validation is None else f"  validation {p.validation:.4f} bits/char"
    print(
        f"step {p.step}/{p.steps}  loss {p.loss:.4f}  auxiliary {p.auxiliary:.4f}{bits}"
        f"  {p.patches} patches  {p.seconds_left / 60:.0f} min left",
        flush=True,
    )


def main(arguments: list[str]) -> None:
    """Run one of the three commands."""
    if len(arguments) < 2:
        sys.exit(__doc__)
    command, folder = arguments[0], Path(arguments[1])
    torch.set_num_threads(1)
    if command == "train":
        settings = load_settings(
            Path(arguments[2]) if arguments[2:] else SETTINGS / "chorales.json"
        )
        train_model(_prepared(folder), settings, folder, on_progress=_say)
    elif command == "evaluate":
        pieces = int(arguments[2]) if arguments[2:] else 102
        run, prepared = Run.load(folder / "checkpoint.pt"), _prepared(folder)
        found = evaluate_model(run, prepared, pieces=pieces)
        figures = found.as_dict() | {"steps": run.step, "patches": run.patches}
        (folder / "evaluation.json").write_text(json.dumps(figures, indent=1) + "\n")
        (folder / "pieces.txt").write_text("\n".join(found.texts))
        print(json.dumps(figures, indent=1))
    elif command == "ship":
        run, prepared = Run.load(folder / "checkpoint.pt"), _prepared(folder)
        figures = json.loads((folder / "evaluation.json").read_text())
        out = Path(arguments[2])
        write_weights(out, run, "chorales", [CHORALE_STYLE], TRAINED_ON, figures)
        found = Evaluation(**{k: v for k, v in figures.items() if k not in ("steps", "patches")})
        out.with_suffix(".md").write_text(model_card("chorales", prepared, found, run, TRAINED_ON))
        write_curve(folder, run.curve)
        print(out, out.stat().st_size, "bytes")
    else:
        sys.exit(__doc__)


if __name__ == "__main__":
    main(sys.argv[1:])
