"""``scoregate archive``: list, show and verify what passed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from scoregate.errors import ArchiveError
from scoregate.findings import Status
from scoregate.flows.printing import printable

HELP = """List, show and verify archived pieces.

    scoregate archive ls
    scoregate archive ls --style choral --limit 10
    scoregate archive show 3fa9c1
    scoregate archive page
    scoregate archive verify
"""

app = typer.Typer(no_args_is_help=True)

Out = Annotated[Path, typer.Option(help="Folder that holds the archive.")]


_SHOWN = (
    *("generator", "weights", "seed", "temperature", "top_k", "top_p"),
    *("resampled_lines", "redrawn_lines"),  # reports up to 0.1 call them redrawn
)


def _store(out: Path):
    from scoregate.archive.store import Archive

    if not (out / "archive").is_dir() and not (out / "rejected").is_dir():
        raise ArchiveError(
            f"There is no archive in {out}.",
            "Produce pieces first (`scoregate produce`), or name its folder with --out.",
        )
    return Archive(out)


@app.command("ls")
def list_pieces(
    out: Out = Path("out"),
    style: Annotated[str, typer.Option(help="Only styles that contain this.")] = "",
    limit: Annotated[int | None, typer.Option(min=1, help="At most so many.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,
) -> None:
    """List archived pieces, newest first."""
    from scoregate.archive import catalog, query

    wanted = query.Filter(status=Status.PASSED, style=style)
    rows = catalog.answer(
        _store(out), lambda connection: query.rows(connection, wanted, limit=limit)
    )
    if as_json:
        for row in rows:
            typer.echo(json.dumps(row, ensure_ascii=False))
        return
    typer.secho(f"{'piece':<12}  {'made':<16}  bars  voices  warnings  style", bold=True)
    for row in rows:
        made = row["created_utc"][:16].replace("T", " ")
        typer.echo(
            f"{row['id'][:12]}  {made}  {row['bars'] or '':>4}  {row['voices'] or '':>6}  "
            f"{row['warnings']:>8}  {printable(row['style'])}"
        )
    typer.echo(f"{len(rows)} pieces. Next: scoregate archive show ID, scoregate archive verify")


@app.command("show")
def show_piece(
    piece: Annotated[str, typer.Argument(help="The id, or its beginning.")],
    out: Out = Path("out"),
    as_json: Annotated[bool, typer.Option("--json", help="The whole report.")] = False,
) -> None:
    """Show a piece: where it is, what shaped it, what the gates measured and said."""
    from scoregate.archive.integrity import faults_of

    store = _store(out)
    entry = store.find(piece)
    report = store.report(entry)
    if as_json:
        typer.echo(report.as_json().decode(), nl=False)
        return
    typer.secho(f"{report.piece_id[:12]}  {report.status}", bold=True)
    for kind, message in faults_of(entry.path, report.piece_id):
        typer.secho(f"{kind}: {message}", fg="red")
    typer.echo(f"folder    {entry.path.resolve()}")
    typer.echo(f"style     {report.style or ''}")
    for name, value in report.summary.items():
        typer.echo(f"{name:<9} {value}")
    typer.echo("files     " + ", ".join(sorted(report.files)))
    origin = report.provenance
    for name in _SHOWN:
        if name in origin:
            value = origin[name]
            if isinstance(value, dict):
                value = ", ".join(f"{key} {part}" for key, part in value.items())
            typer.echo(f"{name:<15} {value}")
    typer.echo("measures")
    for name, value in sorted(report.measures.items()):
        typer.echo(f"  {name:<34} {'not defined' if value is None else f'{value:.4g}'}")
    for reason in report.reasons:
        typer.echo(f"rejected: {reason}")
    for finding in report.findings:
        place = ", ".join(part for part in (finding.place, finding.position) if part)
        typer.echo(f"  {finding.severity}: {finding.gate}: {finding.message} ({place})")
    typer.echo(f"\nThe text: {entry.path / 'score.abc'}")
    if report.findings:
        typer.echo(f"Lines and columns are those of {entry.path / 'raw.abc'}")


@app.command("page")
def write_page(out: Out = Path("out")) -> None:
    """Write the page of the whole archive anew: every run, every piece, links to both."""
    from scoregate.dashboard.archive_index import index_page

    store = _store(out)
    typer.echo(f"open {store.write_index(index_page(store))}")


@app.command("verify")
def verify_archive(
    out: Out = Path("out"),
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a fault.")] = False,
) -> None:
    """Hash every file again; exit code 1 where one is missing, damaged or foreign."""
    from scoregate.archive.verify import count_pieces, verify

    store = _store(out)
    faults = 0
    for problem in verify(store):
        faults += 1
        if as_json:
            fault = {"kind": problem.kind, "path": str(problem.path), "message": problem.message}
            typer.echo(json.dumps(fault))
        else:
            typer.secho(f"{problem.kind}: {problem.message}", fg="red")
    if not as_json:
        typer.echo(f"{count_pieces(store)} pieces hashed again, {faults} problems.")
    raise typer.Exit(1 if faults else 0)
