"""Making the artefacts of a piece in the order of the table, with a note for what can't be made."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from scoregate.render.artefacts import Artefact, Material, NotMade, When, table


def isolated() -> list[Artefact]:
    """Return the artefacts that the worker process makes of every piece."""
    return [one for one in table() if one.isolated and one.when == When.ALWAYS]


def from_score() -> list[Artefact]:
    """Return the artefacts that are made of every piece from its score, in this process."""
    return [one for one in table() if "score" in one.made_from and one.when == When.ALWAYS]


def requested(names: Iterable[str]) -> list[Artefact]:
    """Return the artefacts of these names that are made only on request."""
    return [one for one in table() if one.when == When.REQUESTED and one.name in set(names)]


def make_all(
    artefacts: Sequence[Artefact], material: Material
) -> Iterator[tuple[Artefact, dict[str, bytes]]]:
    """Make artefacts one after the other and yield each with its files.

    One that can't be made takes those that are made from it along; a remark on the material
    says why.
    """
    missing: set[str] = set()
    for artefact in artefacts:
        if missing.intersection(artefact.made_from) or artefact.make is None:
            missing.add(artefact.name)
            continue
        try:
            files = artefact.make(material)
        except NotMade as error:
            missing.add(artefact.name)
            material.remarks.append(f"no {titles(artefact, artefacts)}: {error}")
        else:
            material.files |= files
            yield artefact, files


def titles(failed: Artefact, artefacts: Sequence[Artefact]) -> str:
    """Return the titles of an artefact and of those made from it: ``MusicXML and no engraving``."""
    gone = [failed]
    for artefact in artefacts:
        if artefact not in gone and any(one.name in artefact.made_from for one in gone):
            gone.append(artefact)
    return " and no ".join(one.title for one in gone)
