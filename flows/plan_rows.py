"""The rows of a plan: read from TOML, CSV or JSON lines, and made into requests.

A row has the fields of a production request, and may have a ``name``, and ``period``, ``composer``
and ``instrumentation`` in place of ``style``. A row that is not valid is a :class:`BadRow`, which
says where it stands and which field is at fault.
"""

from __future__ import annotations

import csv
import difflib
import hashlib
import io
import json
import tomllib
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from scoregate.convert.files import MAX_BYTES
from scoregate.errors import RequestError, ScoregateError, UnreadableError
from scoregate.generator import find_generator, with_weights
from scoregate.presets import find_preset
from scoregate.requests import PlanRequest, ProduceRequest
from scoregate.styles import Style

ENDINGS = (".toml", ".csv", ".jsonl")
STYLE_PARTS = ("period", "composer", "instrumentation")
_OF_THE_PLAN = frozenset(("out", "fresh", "dask", "deployment", "part_of", "forced"))
"""Fields of a request that hold for the whole plan, or are none of a person's."""
FIELDS = (
    "name",
    *STYLE_PARTS,
    *(name for name in ProduceRequest.model_fields if name not in _OF_THE_PLAN),
)
_SAMPLING = ("temperature", "top_k", "top_p")


@dataclass(frozen=True, slots=True)
class Row:
    """A row of a plan that is valid.

    Attributes
    ----------
    number : int
        Counted from 1, without a header.
    name : str
        As the plan gives it; text of unknown origin.
    request : ProduceRequest
        With its style in full.
    key : str
        What identifies it among the rows of all versions of the plan: equal rows are numbered.
    """

    number: int
    name: str
    request: ProduceRequest
    key: str


@dataclass(frozen=True, slots=True)
class BadRow:
    """A row of a plan that is not valid.

    Attributes
    ----------
    number : int
    place : str
        ``row 3`` or ``row 3 (line 4)``.
    field : str
        Field at fault; empty where it is the whole row.
    problem : str
    name : str
        As the plan gives it.
    """

    number: int
    place: str
    field: str
    problem: str
    name: str = ""

    def __str__(self) -> str:
        return ": ".join(part for part in (self.place, self.field, self.problem) if part)


_Raw = tuple[int, str, Mapping[str, Any] | str]
"""Number of a row, its place, and its values, or why it has none."""


def read_plan(request: PlanRequest) -> tuple[list[Row], list[BadRow]]:
    """Read a plan.

    Raises
    ------
    UnreadableError
        The file is not there, is of no known kind, or is damaged as a whole.
    RequestError
        It has no rows, or a column that is no field of a request.
    """
    path = Path(request.plan)
    text = _text(path)
    given: dict[str, Any] = dict(request.defaults)
    if path.suffix.lower() == ".toml":
        defaults, raw = _toml(text, path)
        given = _under(defaults, given)  # What was typed wins over the file.
    elif path.suffix.lower() == ".csv":
        raw = list(_csv(text, path))
    else:
        raw = list(_lines(text))
    if not raw:
        raise RequestError(f"The plan {path} has no rows.", "Give at least one request.")
    rows: list[Row] = []
    bad: list[BadRow] = []
    seen: Counter[str] = Counter()
    for number, place, values in raw:
        if isinstance(values, str):
            bad.append(BadRow(number, place, "", values))
            continue
        name = str(values.get("name") or "").strip()
        found = _request_of(_under(given, values), number, place)
        if isinstance(found, BadRow):
            bad.append(replace(found, name=name))
            continue
        seen[found.key] += 1
        key = hashlib.sha256(f"{found.key} {name} {seen[found.key]}".encode("utf-8", "replace"))
        rows.append(Row(number, name, found, key.hexdigest()[:16]))
    return rows, bad


def _under(defaults: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """Return a row's values and the defaults of those that it does not give.

    A row that names a style or a preset of its own takes neither parts of the default's.
    """
    left = dict(defaults)
    if values.get("preset"):
        left = {name: value for name, value in left.items() if name not in _SAMPLING}
    if any(values.get(name) for name in ("style", *STYLE_PARTS)):
        left = {k: v for k, v in left.items() if k not in ("style", *STYLE_PARTS)}
    return left | dict(values)


def _request_of(values: dict[str, Any], number: int, place: str) -> ProduceRequest | BadRow:
    """Return the request of a row with its style in full, or what is wrong with the row."""
    unknown = next((name for name in values if name not in FIELDS), None)
    if unknown is not None:
        return BadRow(number, place, unknown, _unknown(unknown))
    values = {name: value for name, value in values.items() if name != "name"}
    parts = [str(values.pop(name, "") or "").strip() for name in STYLE_PARTS]
    if any(parts):
        if values.get("style"):
            problem = "a row has a style, or its period, composer and instrumentation, not both"
            return BadRow(number, place, "style", problem)
        values["style"] = "/".join(part for part in parts if part)
    step = "preset"
    try:
        if values.get("preset"):
            find_preset(str(values["preset"]))
        request = ProduceRequest.model_validate(values)
        step = "model"
        find_generator(request.model)
        request = with_weights(request)
        step = "weights"
        trained = _trained(request.model, request.weights)
        step = "style"
        return request.in_full(trained)
    except ValidationError as error:
        fault = error.errors()[0]
        field = ".".join(map(str, fault["loc"]))
        shown = f", but it is {fault['input']!r:.60}" if field else ""
        return BadRow(number, place, field, f"{fault['msg'][:1].lower()}{fault['msg'][1:]}{shown}")
    except ScoregateError as error:
        return BadRow(number, place, step, f"{error.problem} {error.remedy}".strip())


@lru_cache(maxsize=16)
def _trained(model: str, weights: str | None) -> tuple[Style, ...] | None:
    return find_generator(model).trained_styles(weights)


def _unknown(name: str) -> str:
    near = difflib.get_close_matches(name.strip().lower().replace("-", "_"), FIELDS, 1)
    if name in _OF_THE_PLAN:
        return "it holds for the whole plan: give it on the command line"
    return f"there is no such field{f'; did you mean {near[0]}?' if near else ''}"


def _text(path: Path) -> str:
    if path.suffix.lower() not in ENDINGS:
        raise UnreadableError(
            f"{path} is no plan by its ending.", f"A plan is a file of {', '.join(ENDINGS)}."
        )
    try:
        if not path.is_file():
            raise UnreadableError(f"There is no plan {path}.", "Name a file.")
        if path.stat().st_size > MAX_BYTES:
            raise UnreadableError(f"{path} is larger than 30 MB, which no plan is.", "Split it.")
        data = path.read_bytes()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise UnreadableError(f"{path}: {reason}.", "Check the path.") from error
    wide = data[:2] in (b"\xff\xfe", b"\xfe\xff")
    try:
        return data.decode("utf-16" if wide else "utf-8-sig")
    except UnicodeDecodeError as error:
        raise UnreadableError(
            f"{path} is not UTF-8 (byte {error.start}).",
            "Save it as UTF-8; Excel calls that 'CSV UTF-8'.",
        ) from error


def _toml(text: str, path: Path) -> tuple[dict[str, Any], list[_Raw]]:
    try:
        plan = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise UnreadableError(f"{path} is no TOML: {error}.", "Correct it.") from error
    more = plan.keys() - {"defaults", "request"}
    if more:
        raise RequestError(
            f"{path} has {', '.join(map(repr, sorted(more)))[:200]} at its top.",
            "A plan has a table [defaults] and a table [[request]] for each row.",
        )
    defaults, rows = plan.get("defaults", {}), plan.get("request", [])
    if not isinstance(defaults, dict) or not isinstance(rows, list):
        raise RequestError(
            f"{path}: 'defaults' or 'request' is no table.",
            "Write [defaults] and [[request]] above their values.",
        )
    if wrong := next((name for name in defaults if name not in FIELDS), None):
        raise RequestError(f"{path}: defaults: {wrong}: {_unknown(wrong)}.", "Correct it.")
    found: list[_Raw] = []
    for number, row in enumerate(rows, 1):
        found.append((number, f"row {number}", row if isinstance(row, dict) else "it is no table"))
    return defaults, found


def _csv(text: str, path: Path) -> Iterator[_Raw]:
    reader = csv.reader(io.StringIO(text, newline=""))
    try:
        header = [name.strip() for name in next(reader, [])]
        for name in header:
            if name not in FIELDS:
                raise RequestError(f"{path}: column {name!r:.60}: {_unknown(name)}.", "Correct it.")
        if len(set(header)) < len(header):
            raise RequestError(f"{path} has a column twice.", "Leave one of them out.")
        number = 0
        for cells in reader:
            if not any(cell.strip() for cell in cells):
                continue
            number += 1
            place = f"row {number} (line {reader.line_num})"
            if len(cells) > len(header):
                yield number, place, f"it has {len(cells)} cells, and the header {len(header)}"
                continue
            values = {n: c.strip() for n, c in zip(header, cells, strict=False) if c.strip()}
            yield number, place, values
    except csv.Error as error:
        raise UnreadableError(f"{path} is no CSV: {error}.", "Correct it.") from error


def _lines(text: str) -> Iterator[_Raw]:
    number = 0
    for at, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        number += 1
        place = f"row {number} (line {at})"
        try:
            values = json.loads(line)
        except (ValueError, RecursionError) as error:
            yield number, place, f"it is no JSON: {error}"
            continue
        yield number, place, values if isinstance(values, dict) else "it is no JSON object"
