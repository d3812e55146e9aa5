"""The rooms of the project and which of them each may import.

``tools/draw_rooms.py`` draws this table and ``tests/test_house_rooms.py`` compares it with the
imports in the source.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Room:
    """A room of the project.

    Attributes
    ----------
    package : str
        The package that holds it.
    layer : int
        A room imports rooms of lower layers only; 0 is the core.
    holds : tuple of str
        Lines that say what the room holds.
    imports : frozenset of str
        Packages of the other rooms that it may import, beside the core.
    modules : tuple of str
        Modules outside the package that belong to the room.
    """

    package: str
    layer: int
    holds: tuple[str, ...]
    imports: frozenset[str] = frozenset()
    modules: tuple[str, ...] = ()


CORE = "scoregate"


def _names(text: str) -> frozenset[str]:
    return frozenset(f"scoregate.{name}" for name in text.split())


ROOMS = (
    Room(
        CORE,
        0,
        (
            "errors, findings, requests, progress, the record of a piece",
            "ABC: reader, Score, keys, lengths, finisher; MusicXML and MIDI to ABC",
        ),
    ),
    Room("scoregate.notagen", 1, ("from a prompt to", "ABC; training")),
    Room("scoregate.lstm", 1, ("the second generator", "and its study")),
    Room("scoregate.validators", 1, ("gates, thresholds,", "the verdict")),
    Room("scoregate.render", 2, ("MIDI, MusicXML,", "engraving"), _names("validators")),
    # The table of artefacts is render's: it says which files a piece may have.
    Room("scoregate.archive", 3, ("pieces by content,", "the catalog"), _names("render")),
    Room(
        "scoregate.dashboard",
        4,
        ("static pages of", "runs and pieces"),
        _names("archive render validators"),
    ),
    Room(
        "scoregate.generation",
        2,
        ("pieces in many processes,", "judged line by line"),
        _names("validators"),
    ),
    Room(
        "scoregate.experiments",
        4,
        ("sweeps, searches,", "comparisons"),
        _names("archive"),
    ),
    Room(
        "scoregate.tasks",
        5,
        ("Prefect tasks: one step each",),
        _names("archive dashboard experiments generation lstm notagen render validators"),
    ),
    Room(
        "scoregate.flows",
        6,
        ("Prefect flows; the Prefect server",),
        _names("archive dashboard experiments generation lstm notagen render tasks validators"),
    ),
    Room(
        "scoregate.dashboard.app",
        7,
        ("the review application; starts runs",),
        _names("archive dashboard experiments flows render validators"),
    ),
    Room(
        "scoregate.flows.commands",
        8,
        ("the command line",),
        _names(
            "archive dashboard dashboard.app experiments flows generation lstm notagen "
            "render tasks validators"
        ),
        modules=("scoregate.flows.check_page", "scoregate.flows.cli"),
    ),
)
