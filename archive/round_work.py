"""What a round of a production run has finished so far, piece by piece, as the journal tells it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from scoregate.archive.records import PieceRow
from scoregate.findings import Finding, Outcome, Status
from scoregate.generator import Generation
from scoregate.piece import Piece
from scoregate.seeds import seeds_of_drafts


@dataclass(slots=True)
class RoundWork:
    """A round and the state of its pieces, which are named by their index in the round.

    Attributes
    ----------
    number : int
        Counted from 1.
    seeds : list of int
        One for each piece.
    drafts : dict of int to dict of int to dict
        Drafts that are on the disk, by piece and number of the draft, of pieces that are not yet
        chosen among them; as :func:`generation_line` gives them.
    generated : dict of int to dict
        Generations that are on the disk and not archived, as :func:`generation_line` gives them.
    judged : dict of int to dict
        Verdicts of pieces that are not archived, as :func:`verdict_line` gives them.
    rendered : dict of int to list of str
        Notes of the rendering, of pieces that are rendered and not archived.
    rows : dict of int to PieceRow
        Archived pieces.
    """

    number: int
    seeds: list[int] = field(default_factory=list)
    drafts: dict[int, dict[int, dict[str, Any]]] = field(default_factory=dict)
    generated: dict[int, dict[str, Any]] = field(default_factory=dict)
    judged: dict[int, dict[str, Any]] = field(default_factory=dict)
    rendered: dict[int, list[str]] = field(default_factory=dict)
    rows: dict[int, PieceRow] = field(default_factory=dict)

    @property
    def unarchived(self) -> list[int]:
        """Indexes of the pieces that are not archived."""
        return [index for index in range(len(self.seeds)) if index not in self.rows]

    def note(self, line: Mapping[str, Any]) -> None:
        """Take in a line of the journal about a piece of this round."""
        index = line["index"]
        match line["event"]:
            case "draft":
                self.drafts.setdefault(index, {})[line["draft"]] = line["generation"]
            case "generated":
                self.generated[index] = line["generation"]
                self.drafts.pop(index, None)
            case "judged":
                self.judged[index] = line["verdict"]
            case "rendered":
                self.rendered[index] = line["notes"]
            case "archived":
                self.rows[index] = PieceRow.model_validate(line["row"])
                for done in (self.generated, self.judged, self.rendered):
                    done.pop(index, None)

    def ungenerated(self, indexes: Sequence[int]) -> list[int]:
        """Return those of the indexes whose piece is neither generated nor archived."""
        return [each for each in indexes if each not in self.generated and each not in self.rows]

    def undrawn(self, indexes: Sequence[int], count: int) -> list[tuple[int, int]]:
        """Return key and seed of the drafts that are still to be drawn for these pieces.

        Parameters
        ----------
        indexes : sequence of int
        count : int
            Drafts of a piece. The key of a draft is ``index * count`` and its number; with one
            draft a piece keys are indexes, and seeds those of the pieces.
        """
        return [
            (index * count + number, seed)
            for index in self.ungenerated(indexes)
            for number, seed in enumerate(seeds_of_drafts(self.seeds[index], count))
            if number not in self.drafts.get(index, {})
        ]

    def piece(self, index: int, style: str, origin: Mapping[str, Any]) -> Piece:
        """Return a piece that is generated, with its verdict where it has one."""
        made = Piece(style, self.number, read_generation(self.generated[index]), origin, index)
        if verdict := self.judged.get(index):
            read_verdict(made, verdict)
        made.notes = list(self.rendered.get(index, ()))
        return made


def generation_line(generation: Generation) -> dict[str, Any]:
    """Return a generation as it is journalled, JSON-ready."""
    return {**generation.as_dict(), "raw": generation.raw}


def read_generation(stored: Mapping[str, Any]) -> Generation:
    """Read what :func:`generation_line` returned."""
    return Generation(**{**stored, "notes": tuple(stored["notes"])})


def verdict_line(piece: Piece) -> dict[str, Any]:
    """Return what the gates and the judge found in a piece, JSON-ready."""
    return {
        "status": str(piece.status),
        "reasons": piece.reasons,
        "findings": [finding.as_dict() for finding in piece.findings],
        "thresholds": piece.thresholds,
        "title": piece.title,
        "summary": piece.summary,
        "outcomes": {
            gate: {"version": outcome.version, "measures": dict(outcome.measures)}
            for gate, outcome in piece.outcomes.items()
        },
    }


def read_verdict(piece: Piece, stored: Mapping[str, Any]) -> None:
    """Fill in what :func:`verdict_line` returned."""
    piece.status = Status(stored["status"])
    piece.reasons = list(stored["reasons"])
    piece.findings = [Finding(**each) for each in stored["findings"]]
    piece.thresholds = stored["thresholds"]
    piece.title = stored["title"]
    piece.summary = stored["summary"]
    piece.outcomes = {
        gate: Outcome(gate, each["version"], measures=each["measures"])
        for gate, each in stored["outcomes"].items()
    }
