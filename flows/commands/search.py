"""``scoregate search``: find the best temperature and top_p by measuring."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from scoregate.errors import RequestError
from scoregate.flows.options import Verbose, takes
from scoregate.requests import ProduceRequest, SearchRequest

if TYPE_CHECKING:
    from scoregate.flows.search import SearchRecord

HELP = """Search for the best temperature and top_p in two stages.

    scoregate search
    scoregate search --count 20 --fine 4 --folder first-look
    scoregate search --lines raw --reference my-scores/
    scoregate search --ask

Nine coarse settings (T .8, 1.2, 1.6 with top_p .85, .90, .95), then steps of .05 around the best
of them. The score is the mean of pass rate, likeness to a reference corpus and human ratings, by
their shares. The same command goes on after a kill; with a larger --fine it adds runs.

Exit code: 0 finished, 2 it could not be done, 3 another process searches in the same folder.
"""
ASKED = 3
"""Settings whose pieces are rated at the prompt: the best ones."""
EACH = 2
"""Pieces of each of them."""


@takes(SearchRequest)
def command(
    request: SearchRequest,
    ask: Annotated[
        bool,
        typer.Option("--ask", help="Rate pieces of the best settings from 1 to 5 in between."),
    ] = False,
    verbose: Verbose = False,
) -> None:
    """Search, and print what was found and how sure it is."""
    if ask and not sys.stdin.isatty():
        raise RequestError("--ask needs a terminal.", "Rate the pieces in the dashboard instead.")
    from scoregate.flows.launch import check_request, prepare, run_flow

    prepare(verbose)
    given = ProduceRequest(style=request.style, model=request.model, weights=request.weights)
    request = request.model_copy(update={"style": check_request(given).style})

    def run(asked: SearchRequest) -> SearchRecord:
        return run_flow("scoregate.flows.search:search", request=asked)

    if ask:
        _ask(request, run(request.model_copy(update={"fine": 0})))
        _ask(request, run(request))
    record = run(request)
    for sentence in record.sentences:
        typer.echo(sentence)
    for kind, path in record.paths.items():
        typer.echo(f"{kind:<7} {path}")


def _ask(request: SearchRequest, record: SearchRecord) -> None:
    """Write pieces of the best settings as ABC and MIDI, and ask for a rating of each.

    They are asked for in an order that does not tell their setting.
    """
    import random

    from scoregate.abc import finish, read
    from scoregate.experiments.search import Setting
    from scoregate.findings import Status
    from scoregate.flows.search import cell_of
    from scoregate.render.midi import midi_of
    from scoregate.tasks.search import note_rating, rated_seeds
    from scoregate.tasks.sweep import path_of, rows_of

    folder = Path(request.folder)
    waiting = []
    for temperature, top_p in record.best[:ASKED]:
        setting = Setting(temperature, top_p)
        known = rated_seeds(folder, setting)
        rows = rows_of(path_of(folder, cell_of(request, setting, 0)))
        passed = [row for row in rows if row["status"] == Status.PASSED]
        wanted = [row for row in passed[:EACH] if row["seed"] not in known]
        waiting += [(setting, row["seed"], row["raw"]) for row in wanted]
    random.Random(request.seed).shuffle(waiting)
    listen = folder / "listen"
    listen.mkdir(parents=True, exist_ok=True)
    for number, (setting, seed, raw) in enumerate(waiting, 1):
        text = finish(raw).text
        path = listen / f"{number}.mid"
        path.with_suffix(".abc").write_text(text, encoding="utf-8")
        path.write_bytes(midi_of(read(text)))
        typer.echo(f"Piece {number} of {len(waiting)}: {path}")
        rating = _rating()
        if rating is not None:
            note_rating(folder, setting, seed, rating)


def _rating() -> int | None:
    """Ask until the answer is a rating, or none is given."""
    question = "How good is it, from 1 to 5? (Enter for no rating)"
    while True:
        answer = typer.prompt(question, default="", show_default=False).strip()
        if answer in {"1", "2", "3", "4", "5"}:
            return int(answer)
        if not answer:
            return None
        typer.echo(f"{answer[:40]!r} is no rating.")
