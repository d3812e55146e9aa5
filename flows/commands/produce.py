"""``scoregate produce``: run the production line from the command line."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from scoregate.findings import Status
from scoregate.flows.printing import command_name
from scoregate.requests import DEFAULT_STYLE, ProduceRequest, make_request

if TYPE_CHECKING:
    from scoregate.archive.records import RunRecord

HELP = """Produce passing pieces and archive each with its quality report.

    scoregate produce --count 4
    scoregate produce --style 'Baroque/Bach, Johann Sebastian/Choral' --count 12 --seed 7
    scoregate produce --count 20 --temperature 1.1 --top-p 0.95 --rounds 20 --out tonight
    scoregate produce --weights x --count 1 --style chopin/keyboard --max-minutes 20

A Prefect server is started in the background if none is healthy; its pages show the run.

Exit code: 0 all were produced, 1 the rounds ran out before (what passed stays archived),
2 the request can't be served or something failed.
"""

_FIELDS = ProduceRequest.model_fields


def _default(name: str) -> object:
    return _FIELDS[name].default


def command(
    style: Annotated[
        str, typer.Option(help="Period/Composer/Instrumentation: see `scoregate styles`.")
    ] = DEFAULT_STYLE,
    count: Annotated[int, typer.Option(help="Passing pieces wanted, 1 to 100,000.")] = 4,
    temperature: Annotated[float, typer.Option(help="Above 0 up to 10; 1 is as trained.")] = 1.0,
    top_k: Annotated[int, typer.Option(help="The k likeliest characters, 1 to 128; 0: all.")] = 9,
    top_p: Annotated[float, typer.Option(help="This much of the mass, above 0 up to 1.")] = 0.9,
    seed: Annotated[
        int | None,
        typer.Option(help="Below 2^31; the same seed, the same pieces. Else drawn."),
    ] = None,
    rounds: Annotated[
        int, typer.Option(help="How often the missing are drawn anew, 1 to 1,000.")
    ] = 10,
    out: Annotated[Path, typer.Option(help="Folder of the archive and the reports.")] = Path("out"),
    batch: Annotated[int, typer.Option(help="Pieces written side by side, 1 to 256.")] = 8,
    max_patches: Annotated[
        int | None,
        typer.Option(
            help="Most patches (16 characters) drawn for a piece; a longer one is cut off and "
            "rejected. Nine in ten of NotaGen-X's published pieces have up to 450."
        ),
    ] = None,
    max_minutes: Annotated[
        float | None,
        typer.Option(help="Most minutes for a piece; a slower one is cut off and rejected."),
    ] = None,
    weights: Annotated[
        str | None, typer.Option(help="Name or file of other weights than the embedded model.")
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1 or mps.")] = "auto",
    precision: Annotated[str, typer.Option(help="fp32, bf16, int8 (CPU) or fp16 (CUDA).")] = "fp32",
    threads: Annotated[
        int | None,
        typer.Option(help="CPU threads for writing; left out, as many as pay at the moment."),
    ] = None,
    repair_lines: Annotated[
        bool,
        typer.Option(help="Draw a bar again while its voices disagree or its metre is wrong."),
    ] = True,
    allow_untrained: Annotated[
        bool, typer.Option(help="Accept a style the weights weren't trained on; labelled so.")
    ] = False,
    audio: Annotated[
        bool, typer.Option(help="Audio previews, where fluidsynth and a soundfont exist.")
    ] = False,
    verbose: Annotated[bool, typer.Option("-v", "--verbose", help="Prefect's log too.")] = False,
) -> None:
    """Run the line and print what passed, why others did not, and what to type next."""
    request = make_request(
        style=style,
        count=count,
        temperature=temperature,
        top_k=top_k,
        top_p=top_p,
        seed=seed,
        rounds=rounds,
        out=str(out),
        batch=batch,
        max_patches=max_patches,
        max_minutes=max_minutes,
        weights=weights,
        device=device,
        precision=precision,
        threads=threads,
        repair_lines=repair_lines,
        allow_untrained=allow_untrained,
        audio=audio,
    )
    from scoregate.flows.launch import check_request, prepare, run_flow

    prepare(verbose)
    request = check_request(request)
    try:
        record = run_flow("scoregate.flows.produce:produce", request=request)
    except KeyboardInterrupt:
        # Outside of the writing, which ends the run in good order.
        typer.echo(f"\nStopped. What passed in earlier rounds stays archived in {out}.", err=True)
        raise typer.Exit(130) from None
    _summarise(record, out)
    raise typer.Exit(1 if record.missing else 0)


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
        f"({drawn} drawn in {rounds}, {record.seconds:.0f} s, "
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
