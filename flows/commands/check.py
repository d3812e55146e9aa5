"""``scoregate check``: judge files, say why, and answer with an exit code."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from scoregate import styles
from scoregate.convert import Conversion, convert, needs_conversion
from scoregate.errors import ScoregateError, UnreadableError
from scoregate.findings import Status
from scoregate.flows.printing import printable
from scoregate.sources import MAX_BYTES, find, pieces_of, read_bytes, read_tune
from scoregate.tunebooks import tunes_of
from scoregate.validators import abc2midi
from scoregate.validators.checking import Checked, Choice, check_bytes, plain_reason, unjudged
from scoregate.validators.examination import TOGETHER, Reading, read_together

HELP = """Judge pieces of ABC: syntax, bars, ranges, repetition.

Takes a piece as NotaGen writes it (prompt lines, `[r:i/j]` markers, no `X:`, resting
voices left out) and finished ABC alike. The gates are syntax, bars, ranges, repetition,
measures, harmony, parts and marks, with --novelty also novelty, and those that other packages add.

    scoregate check my-piece.abc
    scoregate check *.abc --json > findings.jsonl
    scoregate check chorale.abc --style 'Baroque/Bach, Johann Sebastian/Choral'
    scoregate check my-piece.abc --html my-piece.html
    scoregate check generated.abc --novelty
    scoregate check scores/*.abc --format sarif > scores.sarif

Exit code: 0 all passed, 1 some were rejected, 2 some could not be read or judged.
"""


class Form(StrEnum):
    """In what form findings are printed."""

    TEXT = "text"
    JSON = "json"
    SARIF = "sarif"


_MARKS = {
    Status.PASSED: ("✓", "green"),
    Status.REJECTED: ("✗", "red"),
    Status.NOT_JUDGED: ("?", "yellow"),
}


# More than six parameters: one for each option; most lines declare them.
def command(
    files: Annotated[list[str], typer.Argument(help="Files to judge; `-` is standard input.")],
    as_json: Annotated[
        bool, typer.Option("--json", help="One JSON object a line, for programs.")
    ] = False,
    form: Annotated[
        Form, typer.Option("--format", help="json is --json; sarif is for code review.")
    ] = Form.TEXT,
    style: Annotated[
        str | None,
        typer.Option(help="Judge by this style's thresholds; else by the piece's own prompt."),
    ] = None,
    novelty: Annotated[
        bool,
        typer.Option("--novelty", help="Reject copies of known pieces, for what a model wrote."),
    ] = False,
    profile: Annotated[
        str | None,
        typer.Option(help="Judge by this profile; left out, it is guessed for each piece."),
    ] = None,
    warn: Annotated[
        list[str] | None,
        typer.Option(help="Code of a finding that only warns, such as syntax.tie-dangling."),
    ] = None,
    off: Annotated[
        list[str] | None, typer.Option(help="Code of a finding that is left out.")
    ] = None,
    thresholds: Annotated[
        str | None, typer.Option(help="File of thresholds in place of the project's own.")
    ] = None,
    html: Annotated[
        Path | None,
        typer.Option(help="Write the engraved piece with its findings marked; one file only."),
    ] = None,
) -> None:
    """Judge every file and exit with 0, 1 or 2."""
    from rich.progress import Progress

    if html is not None and len(files) != 1:
        raise typer.BadParameter("it shows one piece: name one file.", param_hint="--html")
    if style is not None:
        style = str(styles.parse(style))
    choice = Choice(profile, tuple(warn or ()), tuple(off or ()), thresholds)
    choice.check()
    abc2midi.find()  # without it nothing can be judged: say so once, not for each file
    as_json |= form is Form.JSON
    for_review: list[Checked] | None = [] if form is Form.SARIF else None
    tally = dict.fromkeys(_MARKS, 0)
    unreadable = pieces = 0
    hidden = as_json or for_review is not None or len(files) < 8 or not sys.stderr.isatty()
    with Progress(transient=True, disable=hidden) as bar:
        task = bar.add_task("judging", total=len(files))
        for name in files:
            for piece in _pieces(name) if html is not None else _read_ahead(_pieces(name)):
                pieces += 1
                content = piece.content
                if isinstance(content, ScoregateError):
                    unreadable += 1
                    _show_unreadable(piece.name, content, as_json)
                    if for_review is not None:
                        for_review.append(unjudged(piece.name, plain_reason(piece.name, content)))
                    continue
                checked = check_bytes(piece.name, content, style, novelty, choice, piece.conversion)
                checked.moved(piece.shift)
                tally[checked.status] += 1
                if as_json:
                    typer.echo(json.dumps(checked.as_dict(), ensure_ascii=False))
                elif for_review is not None:
                    for_review.append(replace(checked, score=None, text=""))
                else:
                    _show(checked)
                if html is not None:
                    from scoregate.flows.check_page import write_page

                    assert not isinstance(content, Reading), "for a page nothing is read ahead"
                    write_page(checked, html, content)
                    typer.echo(f"    page: {html}", err=as_json)
            bar.advance(task)
    if for_review is not None:
        from scoregate.flows.sarif import sarif_log

        typer.echo(json.dumps(sarif_log(for_review), ensure_ascii=False, indent=1))
    elif not as_json and pieces > 1:
        counts = ", ".join(f"{count} {status}" for status, count in tally.items() if count)
        unread = f", {unreadable} could not be read" if unreadable else ""
        what = "files" if pieces == len(files) else "pieces"
        typer.echo(f"{pieces} {what}: {counts or '0 judged'}{unread}")
    if unreadable or tally[Status.NOT_JUDGED]:
        raise typer.Exit(2)
    raise typer.Exit(1 if tally[Status.REJECTED] else 0)


@dataclass(frozen=True, slots=True)
class _Piece:
    """A piece to judge.

    Attributes
    ----------
    name : str
    content : bytes or str or Reading or ScoregateError
        ABC, what was read of it, or why there is none.
    conversion : Conversion or None
        What it was made of where it was converted from another format.
    shift : int
        What the lines of findings are to be moved by to be those of the file.
    is_tune : bool
        Whether it is one of the tunes of a book.
    """

    name: str
    content: bytes | str | Reading | ScoregateError
    conversion: Conversion | None = None
    shift: int = 0
    is_tune: bool = False


def _read_ahead(pieces: Iterable[_Piece]) -> Iterator[_Piece]:
    """Read the tunes of a book some at a time, so that abc2midi hears them in one run."""
    waiting: list[_Piece] = []
    for piece in pieces:
        if piece.is_tune:
            waiting.append(piece)
            if len(waiting) < TOGETHER:
                continue
        yield from _heard(waiting)
        waiting = []
        if not piece.is_tune:
            yield piece
    yield from _heard(waiting)


def _heard(tunes: Sequence[_Piece]) -> Iterator[_Piece]:
    readings = read_together(tune.content for tune in tunes if isinstance(tune.content, bytes))
    for tune, reading in zip(tunes, readings, strict=True):
        yield replace(tune, content=reading)


def _pieces(name: str) -> Iterator[_Piece]:
    """Yield the pieces of a file, one at a time: the tunes of a tunebook, or one.

    Those of a zip archive or of a JSONL file are found as by `screen`.
    """
    if name == "-":
        yield from _of_standard_input()
        return
    holds_several = Path(name).suffix.lower() in (".zip", ".jsonl")
    for source in find([name]) if holds_several else pieces_of(name):
        if isinstance(source, UnreadableError):
            yield _Piece(source.problem.split(": ")[0], source)
            continue
        try:
            if source.tune is not None:
                content, shift = read_tune(source)
                yield _Piece(source.name, content, shift=shift, is_tune=True)
            elif needs_conversion(source.ending):
                conversion = convert(read_bytes(source), source.ending, source.name)
                yield _Piece(source.name, conversion.abc, conversion)
            else:
                yield _Piece(source.name, read_bytes(source))
        except ScoregateError as error:
            yield _Piece(source.name, error)


def _of_standard_input() -> Iterator[_Piece]:
    content = sys.stdin.buffer.read(MAX_BYTES + 1)
    if len(content) > MAX_BYTES:
        yield _Piece(
            "-", UnreadableError(f"Standard input holds more than {MAX_BYTES // 2**20} MiB.")
        )
        return
    tunes = tunes_of(content)
    for number, (shift, tune) in enumerate(tunes, 1):
        yield _Piece(f"-#{number}", tune, shift=shift, is_tune=True)
    if not tunes:
        yield _Piece("-", content)


def _show_unreadable(name: str, error: ScoregateError, as_json: bool) -> None:
    problem = plain_reason(name, error)
    typer.secho(f"scoregate: {printable(name)}: {problem}.", fg="red", err=True)
    if error.remedy:
        typer.echo(f"    {error.remedy}", err=True)
    if as_json:
        typer.echo(json.dumps(unjudged(name, problem).as_dict()))


def _show(checked: Checked) -> None:
    mark, colour = _MARKS[checked.status]
    warnings = sum(finding.severity == "warning" for finding in checked.findings)
    said = [f"{warnings} warning{'s' if warnings > 1 else ''}"] if warnings else []
    if checked.guessed:
        said.append(f"judged as {checked.profile}")
    aside = f"  ({'; '.join(said)})" if said else ""
    title = f"  {checked.title}" if checked.title and "#" in checked.file else ""
    name = printable(f"{checked.file}{title}")
    typer.secho(f"{mark} {name}  {checked.status}{aside}", fg=colour)
    told = {finding.gate for finding in checked.findings if finding.severity == "critical"}
    for reason in checked.reasons:
        if reason.partition(":")[0].partition(".")[0] not in told:
            typer.echo(f"    {printable(reason)}")  # no finding says it with its place
    for finding in checked.findings:
        if finding.severity == "critical":
            typer.echo(f"    {printable(str(finding))}")
    for finding in checked.findings:
        if finding.severity != "critical":
            typer.secho(f"    {finding.severity}: {printable(str(finding))}", dim=True)
