"""``scoregate vary``: variations of a theme from the command line."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import typer

from scoregate.errors import RequestError
from scoregate.flows.options import Verbose, takes
from scoregate.flows.printing import command_name, printable
from scoregate.flows.termination import EXIT_CTRL_C, EXIT_SIGTERM, Terminated, sigterm_raises
from scoregate.requests import VaryRequest

if TYPE_CHECKING:
    from scoregate.flows.vary import VaryRecord

HELP = r"""Write variations of a theme, judge them, and rank them by their distance from it.

    scoregate vary 3fa9c1 --bars 1-4
    scoregate vary my-theme.musicxml --bars 1-8 --style chopin/keyboard --weights x
    scoregate vary 'K:G\nG2 A2 B4|d2 B2 c4|B2 A2 G4|]' --reharmonise
    scoregate vary hymn.abc --reharmonise --count 8 --rounds 1

The theme is a piece of the archive, a file, ABC text, or - for ABC on standard input. Its bars
become the opening of every piece, which the model continues; with --reharmonise its first voice is
the soprano of the whole piece, note for note, and the model writes the other voices. The pieces are
judged, rendered and archived as those of `produce` are, with the theme as parent.

--rounds 1 generates each variation once: what passed of them is then their pass rate.

Exit code: 0 all were produced, 1 the rounds ran out before (what passed stays archived),
2 the request can't be served or something failed, 3 another process is at work on the same
request, 130 Ctrl-C, 143 SIGTERM.
"""
MOST_BYTES = 2**20


@takes(VaryRequest, arguments=("theme",))
def command(request: VaryRequest, verbose: Verbose = False) -> None:
    """Make the variations and print their ranking."""
    from scoregate.flows.launch import leave, prepare, run_flow

    if request.theme == "-":
        request = request.model_copy(update={"theme": _from_standard_input()})
    prepare(verbose)
    from scoregate.tasks.theme import prepare as check_theme

    check_theme(request)  # A mistake in the theme is told before a server is started.
    try:
        with sigterm_raises():
            record: VaryRecord = run_flow("scoregate.flows.vary:vary", request=request)
    except (KeyboardInterrupt, Terminated) as stop:
        typer.echo(
            f"\nStopped. What is finished is kept in {request.out}; the same command goes on "
            "from there.",
            err=True,
        )
        leave(EXIT_SIGTERM if isinstance(stop, Terminated) else EXIT_CTRL_C)
    _summarise(record, request)
    leave(1 if record.missing else 0)


def _from_standard_input() -> str:
    data = sys.stdin.buffer.read(MOST_BYTES + 1)
    if len(data) > MOST_BYTES:
        raise RequestError("Standard input is larger than 1 MiB, which no theme is.", "Cut it.")
    text = data.decode("utf-8", "replace")
    if not text.strip():
        raise RequestError("Standard input is empty.", "Give ABC, or name a file.")
    return text if "\n" in text else text + "\n"


def _summarise(record: VaryRecord, request: VaryRequest) -> None:
    passed = sum(one.status == "passed" for one in record.variations)
    typer.echo(
        f"\n{printable(record.name)}, bars {record.bars}: {record.drawn} variations generated, "
        f"{passed} passed (seed {record.seed})\n"
    )
    typer.echo(f"{'':>4}  {'piece':<12}  {'distance':>8}  {'warnings':>8}  {'bars':>4}  verdict")
    for one in record.variations:
        distance = "-" if one.distance is None else f"{one.distance:.3f}"
        verdict = "; ".join([one.status, *one.reasons])
        if one.exact is False:
            verdict += "; the soprano is not the given one"
        typer.echo(
            f"{one.rank:>4}  {one.piece_id[:12]}  {distance:>8}  {one.warnings:>8}  "
            f"{one.bars or 0:>4}  {printable(verdict)}"
        )
    for note in record.notes:
        typer.echo(f"\n{printable(note)}")
    option = "" if request.out == "out" else f" --out {request.out}"
    typer.echo("\nNext:")
    if passed:
        shown = record.variations[0].piece_id[:12]
        typer.echo(f"  {command_name()} archive show {shown}{option}")
    for kind, path in record.paths.items():
        typer.echo(f"  {kind:<7} {path}")
