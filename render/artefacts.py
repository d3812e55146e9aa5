"""The table of artefacts: every file that a piece can have, and how it is made.

Each module in :mod:`scoregate.render.formats` describes one artefact as ``ARTEFACT``; this
module collects them. Rendering makes them, the archive accepts their file names, and the
pages link them, all from this table. A new output format is therefore one new module there,
beside its test and its section in docs/render.md.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cache
from importlib import import_module
from pkgutil import iter_modules
from typing import TYPE_CHECKING

from scoregate.errors import RequestError

if TYPE_CHECKING:
    from scoregate.abc.score import Score
    from scoregate.render.marks import Mark


class When(StrEnum):
    """When an artefact is made.

    Attributes
    ----------
    GIVEN
        Not made: it is handed in, as the text of the piece is.
    ALWAYS
        For every piece that is rendered.
    REQUESTED
        For every piece of a run whose request asks for it.
    ON_DEMAND
        When somebody asks for it, from the files in the archive; it is not stored.
    """

    GIVEN = "given"
    ALWAYS = "always"
    REQUESTED = "requested"
    ON_DEMAND = "on demand"


@dataclass(slots=True)
class Material:
    """What artefacts are made from.

    Attributes
    ----------
    texts : sequence of str
        The finished text, and versions of it for converters that can't read a faulty piece
        as it stands; the first that gives as many bars as the score has is used.
    score : Score or None
        The text as read. None in the worker process.
    bars : int
        Bars of the score; 0 where there is no score.
    marks : sequence of Mark
        Bars to mark in the engraving.
    title : str
        Title of the piece, or its name where it has no title.
    max_pages : int
        Largest number of pages to engrave.
    files : dict of str to bytes
        Files made so far, by name.
    bars_engraved : int
        Set by the engraving.
    remarks : list of str
        What was made but not completely; becomes part of the piece's notes.
    """

    texts: Sequence[str] = ()
    score: Score | None = None
    bars: int = 0
    marks: Sequence[Mark] = ()
    title: str = ""
    max_pages: int = 60
    files: dict[str, bytes] = field(default_factory=dict)
    bars_engraved: int = 0
    remarks: list[str] = field(default_factory=list)


class NotMade(Exception):
    """An artefact can't be made of a piece; the message says why."""


@dataclass(frozen=True, slots=True)
class Artefact:
    """One kind of file that a piece can have.

    Attributes
    ----------
    name : str
        Name in the table: ``midi``.
    title : str
        What notes and links call it: ``MIDI``.
    file : str
        File name in the piece's folder; ``{page}`` stands for a page number where there
        may be several.
    media_type : str
        Media type by which it is served.
    binary : bool
        False for UTF-8 text.
    made_from : tuple of str
        ``text``, ``score`` or names of the artefacts that it is made from.
    when : When
    make : callable or None
        Takes a :class:`Material` and returns the files by name; raises :class:`NotMade`.
        None where the artefact is given.
    isolated : bool
        Made in a worker process with limits on time and memory, because a library that
        reads untrusted text may hang, crash or need any amount of memory.
    """

    name: str
    title: str
    file: str
    media_type: str
    binary: bool = True
    made_from: tuple[str, ...] = ()
    when: When = When.ALWAYS
    make: Callable[[Material], dict[str, bytes]] | None = None
    isolated: bool = False

    @property
    def label(self) -> str:
        """The title as the text of a link."""
        return self.title[:1].upper() + self.title[1:]

    @property
    def optional(self) -> bool:
        """Whether a rendered piece may be without it."""
        return self.when in (When.REQUESTED, When.ON_DEMAND)

    def matches(self, file: str) -> bool:
        """Return whether a file name is one of this artefact's."""
        return self._pattern.fullmatch(file) is not None

    def page(self, file: str) -> int:
        """Return the page number in a file name; 0 where the artefact has no pages."""
        match = self._pattern.fullmatch(file)
        return int(match["page"]) if match and "page" in match.groupdict() else 0

    def of(self, files: Iterable[str]) -> list[str]:
        """Return those of the file names that are this artefact's, in the order of pages."""
        return sorted(filter(self.matches, files), key=self.page)

    @property
    def _pattern(self) -> re.Pattern[str]:
        before, page, after = self.file.partition("{page}")
        number = "(?P<page>[1-9][0-9]{0,3})" if page else ""
        return _compiled(re.escape(before) + number + re.escape(after))


@cache
def table() -> tuple[Artefact, ...]:
    """Return all artefacts, each after those that it is made from."""
    package = import_module("scoregate.render.formats")
    left = [
        artefact
        for module in sorted(iter_modules(package.__path__), key=lambda module: module.name)
        for artefact in import_module(f"{package.__name__}.{module.name}").ARTEFACTS
    ]
    ordered: list[Artefact] = []
    known = {"text", "score"}
    while left:
        ready = [artefact for artefact in left if known.issuperset(artefact.made_from)]
        if not ready:
            raise ValueError(f"{left[0].name} is made from an artefact that is not in the table")
        ordered += ready
        known |= {artefact.name for artefact in ready}
        left = [artefact for artefact in left if artefact not in ready]
    return tuple(ordered)


def find(name: str) -> Artefact:
    """Return an artefact by its name.

    Raises
    ------
    RequestError
        There is none of this name.
    """
    for artefact in table():
        if artefact.name == name:
            return artefact
    names = ", ".join(artefact.name for artefact in table())
    raise RequestError(f"{name!r} is no kind of file that a piece has.", f"Take one of {names}.")


def of_file(file: str) -> Artefact | None:
    """Return the artefact that a file of this name is, or None."""
    return next((artefact for artefact in table() if artefact.matches(file)), None)


def make(artefact: Artefact, material: Material) -> dict[str, bytes]:
    """Make an artefact and add its files to the material.

    Parameters
    ----------
    artefact : Artefact
    material : Material
        Holds what the artefact is made from, or is given it here: artefacts that are not
        there yet are made first.

    Returns
    -------
    dict of str to bytes
        Files by name.

    Raises
    ------
    NotMade
        It, or what it is made from, can't be made of this piece.
    """
    if artefact.make is None:
        raise NotMade(f"{artefact.title} is handed in, not made")
    for name in artefact.made_from:
        if name not in ("text", "score") and not find(name).of(material.files):
            make(find(name), material)
    files = artefact.make(material)
    material.files |= files
    return files


def made_on_demand(name: str, files: Mapping[str, bytes], title: str = "") -> bytes:
    """Make an artefact that is not stored from the files of an archived piece.

    Parameters
    ----------
    name : str
        Name of an artefact that is one file.
    files : mapping of str to bytes
        The piece's stored files by name.
    title : str
        Title or name of the piece.

    Raises
    ------
    NotMade
        What it is made from is missing, or a library that it needs isn't installed.
    RequestError
        There is no artefact of this name.
    """
    artefact = find(name)
    material = Material(title=title, files=dict(files))
    for needed in artefact.made_from:
        if not find(needed).of(files):
            raise NotMade(f"the piece has no {find(needed).title}")
    (content,) = make(artefact, material).values()
    return content


@cache
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern)
