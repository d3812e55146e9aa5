"""The commands of ``scoregate archive`` that keep an archive: reindex, gc, export, backup ..."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from scoregate.errors import ArchiveError
from scoregate.findings import Status
from scoregate.flows.printing import printable

if TYPE_CHECKING:
    from scoregate.archive.store import Archive

Out = Annotated[Path, typer.Option(help="Folder that holds the archive.")]


def opened(out: Path) -> Archive:
    """Return the archive in a folder.

    Raises
    ------
    ArchiveError
        There is none, or a newer Scoregate wrote it.
    """
    from scoregate.archive.store import Archive

    if not (out / "archive").is_dir() and not (out / "rejected").is_dir():
        raise ArchiveError(
            f"There is no archive in {out}.",
            "Produce pieces first (`scoregate produce`), or name its folder with --out.",
        )
    store = Archive(out)
    store.check_version()
    return store


def register(app: typer.Typer) -> None:
    """Add the commands of this module to ``scoregate archive``."""
    app.command("reindex")(reindex)
    app.command("gc")(delete_old)
    app.command("export")(export)
    app.command("rejudge")(rejudge)
    app.command("backup")(back_up)
    app.command("restore")(restore)


def reindex(out: Out = Path("out")) -> None:
    """Rebuild the catalog from the folders."""
    from scoregate.archive import catalog

    with _progress("reading") as tell:
        count = catalog.reindex(opened(out), lambda done: tell(done, None))
    typer.echo(f"{count} pieces in {catalog.of(opened(out)).shown}")


def delete_old(
    out: Out = Path("out"),
    keep: Annotated[
        str, typer.Option(help="Keep rejected pieces that are younger: 30d, 12h, 2w.")
    ] = "30d",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Delete nothing, only list.")] = False,
) -> None:
    """Delete old rejected pieces and what dead processes left; passed pieces always stay."""
    from scoregate.archive.cleaning import collect, parse_age

    number: Counter[str] = Counter()
    size = 0
    for removed in collect(opened(out), parse_age(keep), dry_run=dry_run):
        number[removed.kind] += 1
        size += removed.bytes
        if dry_run:
            typer.echo(f"{removed.kind}: {removed.path}")
    counts = ", ".join(f"{count} {kind}" for kind, count in sorted(number.items())) or "nothing"
    typer.echo(f"{'to delete' if dry_run else 'deleted'}: {counts}; {size / 1e6:.1f} MB")


# More than six parameters: one for each option.
def export(
    target: Annotated[Path, typer.Argument(help="New folder, or a file that ends in .zip.")],
    out: Out = Path("out"),
    style: Annotated[str, typer.Option(help="Only styles that contain this.")] = "",
    run: Annotated[str, typer.Option(help="Only the pieces of this run.")] = "",
    rejected: Annotated[
        bool, typer.Option("--rejected", help="Export pieces that did not pass as well.")
    ] = False,
    validation: Annotated[
        float, typer.Option(min=0, max=1, help="Share of the tunes for validation.")
    ] = 0.1,
    files: Annotated[bool, typer.Option(help="Copy MIDI, MusicXML and pages as well.")] = True,
) -> None:
    """Export pieces as a data set: Parquet and files, as Hugging Face's datasets reads them."""
    from scoregate.archive.export import export_dataset
    from scoregate.archive.query import Filter

    wanted = Filter(status="" if rejected else Status.PASSED, style=style, run_id=run)
    counts = export_dataset(opened(out), target, wanted, validation=validation, files=files)
    typer.echo(f"{target}: {counts['train']} for training, {counts['validation']} for validation")


def rejudge(
    out: Out = Path("out"),
    style: Annotated[str, typer.Option(help="Only styles that contain this.")] = "",
    run: Annotated[str, typer.Option(help="Only the pieces of this run.")] = "",
) -> None:
    """Judge pieces again under today's gates; the new verdicts stand beside the old ones."""
    from scoregate.archive.query import Filter
    from scoregate.archive.verdicts import write_judgement
    from scoregate.flows.rejudge import rejudged
    from scoregate.validators import abc2midi

    store = opened(out)
    abc2midi.find()  # Without it no piece can be judged.
    with _progress("judging") as tell:
        verdicts = list(rejudged(store, Filter(style=style, run_id=run), tell))
    changes = Counter((one.before, one.status) for one in verdicts if one.before != one.status)
    for one in verdicts:
        if one.before != one.status:
            reasons = printable("; ".join(one.reasons))
            typer.echo(f"{one.entry[:12]}  {one.before} -> {one.status}  {reasons}")
    path = write_judgement(store, verdicts)
    typer.echo(f"{len(verdicts)} judged again, {changes.total()} differ; written to {path}")


def back_up(
    destination: Annotated[str, typer.Argument(help="Folder, or s3://bucket/path.")],
    out: Out = Path("out"),
) -> None:
    """Copy the archive with runs and reviews; what is there already is not copied again."""
    from scoregate.archive.backup import backup

    with _progress("copying") as tell:
        done = backup(opened(out), destination, tell)
    typer.echo(
        f"{done.files} files in {printable(destination)}; {done.copied} copied, "
        f"{done.bytes / 1e6:.1f} MB"
    )


def restore(
    source: Annotated[str, typer.Argument(help="Folder or address of the backup.")],
    out: Out = Path("out"),
) -> None:
    """Restore a backup into a new folder, verify every file and build the catalog."""
    from scoregate.archive import backup
    from scoregate.archive.store import Archive

    with _progress("copying") as tell:
        done = backup.restore(source, Archive(out), tell)
    typer.echo(f"{done.files} files restored to {out} and verified; {done.copied} copied")


@contextmanager
def _progress(what: str) -> Iterator[Callable[[int, int | None], None]]:
    import sys

    from rich.console import Console
    from rich.progress import Progress

    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not sys.stderr.isatty()) as bar:
        task = bar.add_task(what, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)
