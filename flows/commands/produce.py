"""``scoregate produce``: run the production line from the command line."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from scoregate.findings import Status
from scoregate.flows.options import Verbose, takes
from scoregate.flows.printing import command_name
from scoregate.flows.termination import EXIT_CTRL_C, EXIT_SIGTERM, Terminated, sigterm_raises
from scoregate.requests import ProduceRequest

if TYPE_CHECKING:
    from scoregate.archive.records import RunRecord

HELP = """Produce passing pieces and archive each with its quality report.

    scoregate produce --count 4
    scoregate produce --style 'Baroque/Bach, Johann Sebastian/Choral' --count 12 --seed 7
    scoregate produce --count 20 --temperature 1.1 --top-p 0.95 --rounds 20 --out tonight
    scoregate produce --weights x --count 1 --style chopin/keyboard --max-minutes 20

A Prefect server is started in the background if none is healthy; its pages show the run.

A run that was killed, stopped by SIGTERM or ended by an error goes on where it was with the same
command; --fresh starts anew.

Exit code: 0 all were produced, 1 the rounds ran out before (what passed stays archived),
2 the request can't be served or something failed, 3 another process is at work on the same
request, 130 Ctrl-C, 143 SIGTERM.
"""


@takes(ProduceRequest)
def command(request: ProduceRequest, verbose: Verbose = False) -> None:
    """Run the line and print what passed, why others did not, and what to type next."""
    from scoregate.flows.launch import check_request, leave, prepare, run_flow

    prepare(verbose)
    request = check_request(request)
    try:
        with sigterm_raises():
            record = run_flow("scoregate.flows.produce:produce", request=request)
    except (KeyboardInterrupt, Terminated) as stop:
        # Ctrl-C during generation ends the run in good order; this was at another time.
        typer.echo(
            f"\nStopped. What is finished is kept in {request.out}; the same command goes on "
            "from there.",
            err=True,
        )
        leave(EXIT_SIGTERM if isinstance(stop, Terminated) else EXIT_CTRL_C)
    _summarise(record, Path(request.out))
    leave(1 if record.missing else 0)


def _summarise(record: RunRecord, out: Path) -> None:
    from rich.console import Console
    from rich.markup import escape

    from scoregate.archive.store import Archive

    store = Archive(out)
    console = Console()
    wanted = record.request["count"]
    passed = wanted - record.missing
    drawn = sum(row.drawn for row in record.rounds)
    rounds = "1 round" if len(record.rounds) == 1 else f"{len(record.rounds)} rounds"
    console.print(
        f"\n[bold]{passed} of {wanted} pieces passed[/bold] "
        f"({drawn} generated in {rounds}, {record.seconds:.0f} s, "
        f"seed {record.request['seed']})"
    )
    for piece in record.pieces:
        if piece.status == Status.PASSED:
            folder = escape(str(store.path_of(piece.piece_id)))
            console.print(f"  {piece.bars or 0:>3} bars  {folder}", soft_wrap=True, highlight=False)
    failed = [piece for piece in record.pieces if piece.status != Status.PASSED]
    if failed:
        console.print(f"\n{len(failed)} did not pass:")
        reasons = Counter(reason for piece in failed for reason in piece.reasons)
        for reason, times in reasons.most_common(8):
            console.print(f"  {times} × {escape(reason)}", highlight=False)
        console.print(f"  kept in {escape(str(store.rejected / record.run_id))}", soft_wrap=True)
    for note in record.notes:
        console.print(f"\n[yellow]{escape(note)}[/yellow]", highlight=False)
    first = next((piece for piece in record.pieces if piece.status == Status.PASSED), None)
    page = store.run_folder(record.run_id) / "report.html"
    option = "" if str(out) == "out" else f" --out {out}"
    lines = [f"look at   {page}", f"all runs  {store.out / 'index.html'}"]
    if first:
        lines.append(f"{command_name()} archive show {first.piece_id[:12]}{option}")
        text = store.path_of(first.piece_id) / "score.abc"
        lines.append(f"{command_name()} check {text}")
    lines.append(f"{command_name()} archive ls{option}")
    console.print("\nNext:")
    for line in lines:
        console.print(f"  {escape(line)}", soft_wrap=True, highlight=False)
