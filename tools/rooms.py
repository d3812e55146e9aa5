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
        Its row in the picture; 0 is the lowest. A room imports rooms of lower rows only.
    holds : tuple of str
        Lines that say what the room holds.
    imports : frozenset of str
        Packages of the other rooms that it may import, beside the core.
    """

    package: str
    layer: int
    holds: tuple[str, ...]
    imports: frozenset[str] = frozenset()


CORE = "scoregate"
ROOMS = (
    Room(CORE, 0, ("errors, findings, requests, progress, the record of a piece",
                   "ABC: reader, Score, keys, lengths, finisher; MusicXML and MIDI to ABC")),
    Room("scoregate.notagen", 1, ("from a prompt to", "ABC; training")),
    Room("scoregate.lstm", 1, ("the second", "generator")),
    Room("scoregate.validators", 1, ("gates, thresholds,", "the verdict")),
    Room("scoregate.render", 2, ("MIDI, MusicXML,", "engraving"), frozenset({
        "scoregate.validators"})),
    Room("scoregate.archive", 3, ("pieces by content,", "the catalog"), frozenset({
        "scoregate.render"})),
    Room("scoregate.dashboard", 4, ("static pages of", "runs and pieces"), frozenset({
        "scoregate.archive", "scoregate.render", "scoregate.validators"})),
    Room("scoregate.tasks", 5, ("Prefect tasks: one step each",), frozenset({
        "scoregate.archive", "scoregate.dashboard", "scoregate.lstm", "scoregate.notagen",
        "scoregate.render", "scoregate.validators"})),
    Room("scoregate.flows", 6, ("Prefect flows and the command line",), frozenset({
        "scoregate.archive", "scoregate.dashboard", "scoregate.lstm", "scoregate.notagen",
        "scoregate.render", "scoregate.tasks", "scoregate.validators"})),
    Room("scoregate.dashboard.app", 7, ("the review application; starts runs",), frozenset({
        "scoregate.archive", "scoregate.dashboard", "scoregate.flows", "scoregate.render",
        "scoregate.validators"})),
)  # fmt: skip
