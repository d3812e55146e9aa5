"""The record of an experiment: what was done, its tables and its figures.

``experiment.json`` in the folder of an experiment holds it; ``index.html`` beside it is the page
made of it, and the dashboard lists the folders that have one. Everything in it is text: nothing is
markup, whatever a style or a file is called.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from jinja2 import Environment, PackageLoader, StrictUndefined
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from scoregate import __version__
from scoregate.archive.atomic import write_file
from scoregate.errors import UnreadableError

FILE = "experiment.json"
PAGE = "index.html"
FORMAT = 1
LARGEST = 4 * 2**20
"""Bytes of a record or a figure at most."""
FIGURE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,60}\.(svg|png)")
_ACTIVE = re.compile(r"\||<(?=[A-Za-z/!?])|\[(?=[^\]]*\]\()")
"""What ends a cell, begins a tag, or begins a link or an image."""
MEDIA_TYPES = {"svg": "image/svg+xml", "png": "image/png"}

Kind = Literal["sweep", "search", "comparison", "study", "variations", "plan"]


class _Part(BaseModel):
    model_config = ConfigDict(extra="ignore")


class Table(_Part):
    """A table; its cells are text.

    Attributes
    ----------
    title, note : str
    columns : list of str
    rows : list of list of str
    numeric : list of int
        Columns, from 0, that are aligned to the right.
    runs : list of str
        Cells that name runs of the archive; the dashboard links them.
    """

    title: str
    columns: list[str]
    rows: list[list[str]]
    note: str = ""
    numeric: list[int] = []
    runs: list[str] = []


class Figure(_Part):
    """A figure: its file in the experiment's folder, and what it shows."""

    file: str
    title: str


class Experiment(_Part):
    """An experiment.

    Attributes
    ----------
    kind : str
        ``sweep``, ``search``, ``comparison``, ``study``, ``variations`` or ``plan``.
    title : str
    command : str
        What makes it again.
    facts : list of tuple of str
        Names and values that belong to the whole: pieces, seeds, versions.
    paragraphs : list of str
        What was found, in sentences.
    tables, figures : list
    created : str
        UTC, ISO 8601.
    scoregate : str
        Version that wrote it.
    format : int
    """

    kind: Kind
    title: str
    command: str = ""
    facts: list[tuple[str, str]] = []
    paragraphs: list[str] = []
    tables: list[Table] = []
    figures: list[Figure] = []
    created: str = Field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="seconds"))
    scoregate: str = __version__
    format: int = FORMAT


def write_experiment(
    folder: Path, experiment: Experiment, figures: Mapping[str, bytes] | None = None
) -> dict[str, str]:
    """Write the figures, the record, and the page made of them.

    Parameters
    ----------
    folder : Path
    experiment : Experiment
    figures : mapping of str to bytes, optional
        Content of the figures by file name; left out, they are there already.

    Returns
    -------
    dict of str to str
        Paths: ``page``, and ``record``.

    Raises
    ------
    ArchiveError
        The folder can't be written.
    """
    for name, content in (figures or {}).items():
        write_file(folder / name, content)
    record = experiment.model_dump_json(indent=1).encode("utf-8", "backslashreplace")
    write_file(folder / FILE, record + b"\n")
    page = _environment().get_template("experiment.html").render(experiment=experiment)
    write_file(folder / PAGE, page.encode("utf-8", "backslashreplace"))
    return {"page": str(folder / PAGE), "record": str(folder / FILE)}


def read_experiment(folder: Path) -> Experiment:
    """Read the record of a folder.

    Raises
    ------
    UnreadableError
        There is none, it is damaged, or a newer Scoregate wrote it.
    """
    path = folder / FILE
    try:
        if path.is_symlink() or path.stat().st_size > LARGEST:
            raise UnreadableError(f"{path} is no record of an experiment.", "")
        found = Experiment.model_validate(json.loads(path.read_bytes()))
    except (OSError, ValueError, RecursionError, ValidationError) as error:
        raise UnreadableError(
            f"{path} can't be read as the record of an experiment.",
            "The command of the experiment writes it again.",
        ) from error
    if found.format > FORMAT:
        raise UnreadableError(f"{path} was written by a newer Scoregate.", "Update Scoregate.")
    return found


def read_figure(folder: Path, experiment: Experiment, file: str) -> bytes | None:
    """Return a figure of an experiment; None where it is not one of its figures or not there."""
    listed = any(figure.file == file for figure in experiment.figures)
    path = folder / file
    if not listed or not FIGURE_NAME.fullmatch(file) or path.is_symlink() or not path.is_file():
        return None
    try:
        return path.read_bytes() if path.stat().st_size <= LARGEST else None
    except OSError:
        return None


def markdown(experiment: Experiment) -> str:
    """Return the record as a page of Markdown, without the figures."""
    lines = [f"# {_cell(experiment.title)}", ""]
    if experiment.command:
        lines += [f"`{experiment.command}`", ""]
    for paragraph in experiment.paragraphs:
        lines += [paragraph, ""]
    for name, value in experiment.facts:
        lines.append(f"- {_cell(name)}: {_cell(value)}")
    for table in experiment.tables:
        marks = ["---:" if i in table.numeric else "---" for i in range(len(table.columns))]
        lines += ["", f"## {_cell(table.title)}", ""]
        lines += [table.note, ""] if table.note else []
        lines.append("| " + " | ".join(map(_cell, table.columns)) + " |")
        lines.append("|" + "|".join(marks) + "|")
        lines += ["| " + " | ".join(map(_cell, row)) + " |" for row in table.rows]
    return "\n".join(lines) + "\n"


def tables_of(text: str) -> list[Table]:
    """Return the tables of a page of Markdown, each with the headings that stand above it."""
    headings: dict[int, str] = {}
    tables: list[Table] = []
    block: list[list[str]] = []
    for line in [*text.splitlines(), ""]:
        if line.startswith("|"):
            cells = re.split(r"(?<!\\)\|", line.strip().strip("|"))
            block.append([re.sub(r"\\([|<\[])", r"\1", cell.strip()) for cell in cells])
            continue
        if len(block) > 1:
            title = ": ".join(headings[level] for level in sorted(headings)) or "Results"
            marks, width = block[1], len(block[0])
            tables.append(
                Table(
                    title=title,
                    columns=block[0],
                    rows=[(row + [""] * width)[:width] for row in block[2:]],
                    numeric=[i for i, mark in enumerate(marks[:width]) if mark.endswith(":")],
                )
            )
        block = []
        if found := re.match(r"(#+) +(.*)", line):
            level = len(found[1])
            headings = {kept: name for kept, name in headings.items() if kept < level}
            headings[level] = found[2].strip()
    return tables


def _cell(text: str) -> str:
    """Return text of a table's cell: on one line, with nothing that ends the cell.

    Names of pieces and files come from elsewhere, so that a tag, link or image in them is escaped.
    """
    return _ACTIVE.sub(r"\\\g<0>", " ".join(text.split()))


def _environment() -> Environment:
    return Environment(
        loader=PackageLoader(__package__ or "", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
