"""``scoregate produce``: run the production line from the command line."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import typer

from scoregate.findings import Status
from scoregate.flows.options import Verbose, takes
from scoregate.flows.printing import command_name, printable
from scoregate.flows.termination import EXIT_CTRL_C, EXIT_SIGTERM, Terminated, sigterm_raises
from scoregate.requests import PlanRequest, ProduceOptions, ProduceRequest

if TYPE_CHECKING:
    from scoregate.archive.records import RunRecord
    from scoregate.flows.plans import PlanRecord

HELP = """Produce passing pieces and archive each with its quality report.

    scoregate produce --count 4
    scoregate produce --style 'Baroque/Bach, Johann Sebastian/Choral' --count 12 --seed 7
    scoregate produce --count 20 --temperature 1.1 --top-p 0.95 --rounds 20 --out tonight
    scoregate produce --weights x --count 1 --style chopin/keyboard --max-minutes 20
    scoregate produce --count 4 --quality best
    scoregate produce --plan tonight.csv --at-once 2

A Prefect server is started in the background if none is healthy; its pages show the run.

A run that was killed, stopped by SIGTERM or ended by an error goes on where it was with the same
command; --fresh starts anew.

A plan is a file of many requests (TOML, CSV or JSON lines), whose runs have one joint table and
page. The same command runs only the requests that are not finished.

Exit code: 0 all were produced, 1 the rounds ran out before (what passed stays archived), or a
request of a plan failed or was skipped,
2 the request can't be served or something failed, 3 another process is at work on the same
request, 130 Ctrl-C, 143 SIGTERM.
"""


@takes(ProduceOptions)
def command(request: ProduceOptions, verbose: Verbose = False) -> None:
    """Run the line and print what passed, why others did not, and what to type next."""
    from scoregate.flows.launch import check_request, leave, prepare

    prepare(verbose)
    if request.plan:
        _run_plan(request.plan_request())
    asked = check_request(request.production())
    record = _run("scoregate.flows.produce:produce", asked)
    _summarise(record, Path(asked.out))
    leave(1 if record.missing else 0)


def _run_plan(request: PlanRequest) -> NoReturn:
    """Run a plan, print its joint table, and leave."""
    from scoregate.flows.launch import leave
    from scoregate.flows.plans import checked_rows

    checked_rows(request)  # A bad row is told before a server is started.
    record: PlanRecord = _run("scoregate.flows.plans:run_plan", request)
    short = False
    for one in record.results:
        short = short or one.state != "finished" or one.passed != one.wanted
        what = printable(one.name or one.style)
        if one.state == "finished":
            how = f"chosen among {one.drafts} drafts each" if one.drafts else "generated"
            done = f"{one.passed} of {one.wanted} passed ({one.drawn} {how})"
            typer.echo(f"{one.row:>4}  {what}: {done}")
        else:
            typer.echo(f"{one.row:>4}  {what}: {one.state}: {printable(one.problem)}")
    total = len(record.results)
    typer.echo(f"\n{record.run} of {total} requests were run now.\n\nNext:")
    for kind, path in record.paths.items():
        typer.echo(f"  {kind:<6} {path}")
    leave(1 if short else 0)


def _run(entrypoint: str, request: ProduceRequest | PlanRequest) -> Any:
    """Run a flow; leave where it is stopped."""
    from scoregate.flows.launch import leave, run_flow

    try:
        with sigterm_raises():
            return run_flow(entrypoint, request=request)
    except (KeyboardInterrupt, Terminated) as stop:
        # Ctrl-C during generation ends the run in good order; this was at another time.
        typer.echo(
            f"\nStopped. What is finished is kept in {request.out}; the same command goes on "
            "from there.",
            err=True,
        )
        leave(EXIT_SIGTERM if isinstance(stop, Terminated) else EXIT_CTRL_C)


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
    best = record.request["quality"] == "best"
    how = f"{drawn} chosen among drafts" if best else f"{drawn} generated"
    console.print(
        f"\n[bold]{passed} of {wanted} pieces passed[/bold] "
        f"({how} in {rounds}, {record.seconds:.0f} s, "
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
