"""``scoregate archive``: list, show, verify and keep archived pieces."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from scoregate.errors import ArchiveError, RequestError
from scoregate.findings import Status
from scoregate.flows.commands import archive_upkeep
from scoregate.flows.commands.archive_upkeep import Out, opened
from scoregate.flows.printing import printable

HELP = """List, show, verify and keep archived pieces.

    scoregate archive ls
    scoregate archive ls --style choral --limit 10
    scoregate archive ls --status rejected --finding bars.short
    scoregate archive show 3fa9c1
    scoregate archive file 3fa9c1 pdf --to chorale.pdf
    scoregate archive verify
    scoregate archive backup s3://bucket/scores
"""

app = typer.Typer(no_args_is_help=True)

_SHOWN = (
    *("generator", "weights", "seed", "temperature", "top_k", "top_p"),
    *("resampled_lines", "redrawn_lines"),  # reports up to 0.1 call them redrawn
)


# More than six parameters: one for each option.
@app.command("ls")
def list_pieces(
    out: Out = Path("out"),
    style: Annotated[str, typer.Option(help="Only styles that contain this.")] = "",
    status: Annotated[
        str, typer.Option(help="passed, rejected, 'could not be judged' or all.")
    ] = "passed",
    finding: Annotated[str, typer.Option(help="Only pieces with this code of a finding.")] = "",
    search: Annotated[str, typer.Option(help="Words in name, title or style.")] = "",
    limit: Annotated[int | None, typer.Option(min=1, help="At most this many pieces.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object per line.")] = False,
) -> None:
    """List pieces, newest first."""
    from scoregate.archive import catalog, query

    wanted = query.Filter(text=search, status=_status(status), style=style, finding=finding)
    rows = catalog.answer(
        opened(out), lambda connection: query.rows(connection, wanted, limit=limit)
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
    """Show a piece: its folder, what shaped it, what the gates measured and found."""
    from scoregate.archive.integrity import faults_of

    store = opened(out)
    entry = store.find(piece)
    report = store.report(entry)
    if as_json:
        typer.echo(report.as_json().decode(), nl=False)
        return
    typer.secho(f"{report.piece_id[:12]}  {report.status}  {printable(report.name)}", bold=True)
    for kind, message in faults_of(entry.path, report.piece_id):
        typer.secho(f"{kind}: {message}", fg="red")
    typer.echo(f"folder    {entry.path.resolve()}")
    typer.echo(f"style     {printable(report.style or '')}")
    for name, value in report.summary.items():
        typer.echo(f"{name:<9} {printable(str(value))}")
    typer.echo("files     " + ", ".join(sorted(report.files)))
    _show_origin(report.provenance)
    _show_judgement(store, report)
    typer.echo(f"\nThe text: {entry.path / 'score.abc'}")
    if report.findings:
        typer.echo(f"Lines and columns are those of {entry.path / 'raw.abc'}")


def _show_origin(origin: dict) -> None:
    for name in _SHOWN:
        if name in origin:
            value = origin[name]
            if isinstance(value, dict):
                value = ", ".join(f"{key} {part}" for key, part in value.items())
            typer.echo(f"{name:<13} {printable(str(value))}")


def _show_judgement(store, report) -> None:
    from scoregate.archive.schema import entry_id
    from scoregate.archive.verdicts import verdicts_of

    typer.echo("measures")
    for name, value in sorted(report.measures.items()):
        typer.echo(f"  {name:<34} {'not defined' if value is None else f'{value:.4g}'}")
    for reason in report.reasons:
        typer.echo(f"rejected: {printable(reason)}")
    for finding in report.findings:
        place = ", ".join(part for part in (finding.place, finding.position) if part)
        message = printable(finding.message)
        typer.echo(f"  {finding.severity}: {finding.gate}: {message} ({printable(place)})")
    for later in verdicts_of(store, entry_id(report)):
        reasons = "; ".join(json.loads(later["reasons"]))
        said = f"{later['status']}{': ' if reasons else ''}{printable(reasons)}"
        typer.echo(f"judged again {later['judged_utc'][:16].replace('T', ' ')}: {said}")


@app.command("file")
def write_piece_file(
    piece: Annotated[str, typer.Argument(help="The id, or its beginning.")],
    kind: Annotated[str, typer.Argument(help="abc, raw, midi, musicxml, pdf ...")],
    out: Out = Path("out"),
    to: Annotated[str, typer.Option(help="File to write; `-` is standard output.")] = "",
) -> None:
    """Write one file of a piece; a PDF is made from its engraved pages."""
    from scoregate.archive.integrity import read_bytes
    from scoregate.archive.names import name_of_summary
    from scoregate.render import artefacts

    store = opened(out)
    entry = store.find(piece)
    report = store.report(entry)
    artefact = artefacts.find(kind)
    stored = artefact.of(report.files)
    if len(stored) > 1:
        raise RequestError(
            f"The piece has {len(stored)} files of this kind: {', '.join(stored)}.",
            f"They are in {entry.path}.",
        )
    if stored:
        content = read_bytes(entry.path / stored[0])
    else:
        files = {name: read_bytes(entry.path / name) for name in report.files}
        title = report.title.strip() or name_of_summary(report.style, report.summary)
        try:
            content = artefacts.made_on_demand(kind, files, title)
        except artefacts.NotMade as error:
            raise ArchiveError(f"There is no {artefact.title} of {piece}: {error}.") from error
    if to == "-":
        sys.stdout.buffer.write(content)
        return
    target = Path(to or f"{entry.piece_id[:12]}-{artefact.file}")
    try:
        target.write_bytes(content)
    except OSError as error:
        raise ArchiveError(
            f"{target} can't be written: {error.strerror}.", "Name another file with --to."
        ) from error
    typer.echo(f"{target}: {len(content):,} bytes")


@app.command("page")
def write_page(out: Out = Path("out")) -> None:
    """Write the page of the whole archive: every run, the newest pieces, links to both."""
    from scoregate.dashboard.archive_index import index_page

    store = opened(out)
    typer.echo(f"open {store.write_index(index_page(store))}")


@app.command("verify")
def verify_archive(
    out: Out = Path("out"),
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object per problem.")] = False,
) -> None:
    """Hash every file again; exit code 1 where one is missing, damaged or foreign."""
    from scoregate.archive.verify import count_pieces, verify

    store = opened(out)
    problems = 0
    for problem in verify(store):
        problems += 1
        if as_json:
            line = {"kind": problem.kind, "path": str(problem.path), "message": problem.message}
            typer.echo(json.dumps(line))
        else:
            typer.secho(f"{problem.kind}: {problem.message}", fg="red")
    if not as_json:
        typer.echo(f"{count_pieces(store)} pieces hashed again, {problems} problems.")
    raise typer.Exit(1 if problems else 0)


def _status(text: str) -> str:
    if text == "all":
        return ""
    if text not in set(Status):
        raise RequestError(
            f"{text!r} is no status.", "Take passed, rejected, 'could not be judged' or all."
        )
    return text


archive_upkeep.register(app)
