"""The gates that are registered: those of the project, and those of other distributions.

A gate reads a `Score` and answers with an `Outcome`: findings and measures. Each gate of the
project is one module under :mod:`scoregate.validators.gates` that ends in ``GATE = ...``.
Another distribution registers a gate by an entry point of the group ``scoregate.gates``;
docs/gate.md shows how ("Add a gate").

Everything that lists gates or measures takes them from here: the order in which gates run,
the version that a verdict depends on, and the titles of measures in reports.
"""

from __future__ import annotations

import difflib
import functools
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from typing import Protocol

from scoregate.abc.score import Score
from scoregate.errors import GateError, RequestError
from scoregate.findings import Outcome

GROUP = "scoregate.gates"
"""Group of the entry points by which other distributions register gates."""

BUILT_IN = (
    "syntax", "bars", "ranges", "repetition", "measures", "harmony", "parts", "marks", "novelty",
)  # fmt: skip
"""Modules of :mod:`scoregate.validators.gates`, in the order in which they run."""

_NAME = re.compile(r"[a-z][a-z0-9_-]*")
_RESERVED = ("judged", "critical")


@dataclass(frozen=True, slots=True)
class Measure:
    """A number that a gate gives, and how to show it.

    Attributes
    ----------
    name : str
        ``<gate>.<measure>``, as in `Outcome.measures` and in ``thresholds.toml``.
    title : str
        Name for people: ``Pitch entropy``.
    note : str
        What it says, with its unit.
    digits : int
        Digits behind the decimal point that are worth showing.
    """

    name: str
    title: str
    note: str
    digits: int = 2


class Gate(Protocol):
    """What a gate must give. `FunctionGate` makes one of a function.

    Attributes
    ----------
    name : str
        Lower-case letters, digits, ``-`` and ``_``. Findings, codes and measures begin
        with it.
    version : str
        Changes whenever the gate may judge differently. It stands in every report, and
        `scoregate screen` judges its files again when it changes.
    asks : str
        The question that the gate answers, for tables and help.
    measures : tuple of Measure
        Every measure that `check` may give. It may leave some out.
    production_only : bool
        True for a gate that applies to what a model wrote and not to scores that a person
        hands in. Such gates run in `scoregate produce`, and elsewhere with ``--novelty``.
    """

    @property
    def name(self) -> str: ...  # noqa: D102
    @property
    def version(self) -> str: ...  # noqa: D102
    @property
    def asks(self) -> str: ...  # noqa: D102
    @property
    def measures(self) -> tuple[Measure, ...]: ...  # noqa: D102
    @property
    def production_only(self) -> bool: ...  # noqa: D102

    def check(self, score: Score, *, style: str | None = None) -> Outcome:
        """Judge a score.

        Parameters
        ----------
        score : Score
            Shared with the other gates: not to be changed.
        style : str or None
            ``Period/Composer/Instrumentation`` where it is known.

        Returns
        -------
        Outcome
            A finding with the severity ``critical`` rejects the piece. If `check` raises,
            the piece could not be judged.
        """
        ...


@dataclass(frozen=True, slots=True)
class FunctionGate:
    """A gate made of a function.

    Attributes
    ----------
    name, version, asks, measures, production_only
        As `Gate` describes them.
    check : callable
        ``check(score, *, style=None)``, which returns an `Outcome`.
    """

    name: str
    version: str
    asks: str
    check: Callable[..., Outcome]
    measures: tuple[Measure, ...] = ()
    production_only: bool = False


@dataclass(frozen=True, slots=True)
class UnavailableGate:
    """Stands for a gate that could not be loaded, so that no piece passes without it.

    Attributes
    ----------
    name : str
    problem : str
        Why it could not be loaded, naming the distribution.
    """

    name: str
    problem: str
    version: str = "not loaded"
    asks: str = "could not be loaded"
    measures: tuple[Measure, ...] = ()
    production_only: bool = False

    def check(self, score: Score, *, style: str | None = None) -> Outcome:
        """Raise `GateError`, so that the piece could not be judged."""
        raise GateError(self.problem, "Repair or uninstall the distribution that registers it.")


@functools.cache
def gates() -> tuple[Gate, ...]:
    """Return every registered gate: those of the project in order, then others by name.

    A gate that can't be loaded, or that does not keep to the `Gate` protocol, is returned
    as an `UnavailableGate`. The entry points are read once for each process.
    """
    found: list[Gate] = [import_module(f"{__package__}.gates.{name}").GATE for name in BUILT_IN]
    for point in sorted(entry_points(group=GROUP), key=lambda point: (point.name, point.value)):
        found.append(_load(point, {gate.name for gate in found}))
    return tuple(found)


def names(production: bool = False) -> tuple[str, ...]:
    """Return the names of the gates that judge a piece, in order.

    Parameters
    ----------
    production : bool
        True for a piece that a model wrote: the gates with `Gate.production_only` judge it
        as well.
    """
    return tuple(gate.name for gate in gates() if production or not gate.production_only)


def find(name: str) -> Gate:
    """Return a gate by its name.

    Raises
    ------
    RequestError
        No gate is called so; the message names the nearest one.
    """
    for gate in gates():
        if gate.name == name:
            return gate
    known = {gate.name: gate for gate in gates()}
    near = difflib.get_close_matches(str(name), known, n=1, cutoff=0.5)
    hint = f"Did you mean {near[0]!r}? " if near else ""
    raise RequestError(f"There is no gate {name!r}.", f"{hint}Gates: {', '.join(known)}.")


@functools.cache
def measures() -> dict[str, Measure]:
    """Return every measure that the gates declare, by name, in the gates' order."""
    return {measure.name: measure for gate in gates() for measure in gate.measures}


def versions(selected: Iterable[str]) -> dict[str, str]:
    """Return the version of each gate that is named.

    Raises
    ------
    ToolError
        For ``syntax`` when there is no abc2midi.
    """
    return {name: find(name).version for name in selected}


def _load(point: EntryPoint, taken: set[str]) -> Gate:
    """Load the gate of an entry point and hold it to the protocol."""
    origin = point.dist.name if point.dist is not None else "an unknown distribution"
    try:
        gate = point.load()
        fault = _fault(gate, taken)
        if not fault:
            return gate
    except (Exception, SystemExit) as error:
        # Whatever an import raises: a gate that is missing must be named, not left out.
        fault = f"{type(error).__name__}: {error}"
    name = point.name if _NAME.fullmatch(point.name) else "unnamed"
    while name in taken:
        name += "-2"
    return UnavailableGate(name, f"The gate {point.name!r} of {origin} can't be used: {fault}")


def _fault(gate: Gate, taken: set[str]) -> str:
    """Say in what a gate does not keep to the protocol; empty if it does."""
    needed = ("name", "version", "asks", "measures", "production_only", "check")
    missing = [attribute for attribute in needed if not hasattr(gate, attribute)]
    if missing:
        return f"it has no {', '.join(missing)}"
    if not isinstance(gate.name, str) or not _NAME.fullmatch(gate.name):
        return f"its name {gate.name!r} is not made of lower-case letters, digits, - and _"
    if gate.name in taken:
        return f"another gate is called {gate.name!r}"
    if not isinstance(gate.version, str) or not gate.version:
        return "its version is not a text"
    for measure in gate.measures:
        prefix, _, rest = measure.name.partition(".")
        if prefix != gate.name or not rest or rest in _RESERVED:
            return f"its measure {measure.name!r} should be called '{gate.name}.<measure>'"
    return ""
