"""The verdict by Great Expectations: a suite over one row for each piece.

The rules are those of :mod:`scoregate.validators.verdict.rules`. Great Expectations adds a
validation result that other programs can read and store, with gate and severity on each
expectation. By itself it passes what it should not in three cases, which are closed here:

- a NaN passes every expectation on values: each needed column has an expectation that it is
  not null;
- an empty frame passes everything: it is refused, and the number of rows is expected;
- a column that is missing gives no list of rows: it is filled with nulls, so that every row
  fails. Any other failure without a list of rows is an error.

The verdict comes from the rows that each expectation lists, never from its `success`.
Importing Great Expectations takes seconds, so it is imported on the first call.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any

import pandas as pd

from scoregate.errors import GateError
from scoregate.findings import Failure, Severity, Verdict
from scoregate.validators import registry
from scoregate.validators.verdict.rules import (
    expected,
    nothing_to_judge,
    number,
    status_of,
)
from scoregate.validators.verdict.thresholds import SEVERITIES, Bound, ThresholdFile, load

ROW = "row"
"""Column with the number of the row, because ids of pieces may repeat."""
THRESHOLDS = "thresholds"
"""Column with the name of the thresholds that apply to the row's style."""


def judge(
    rows: pd.DataFrame | Sequence[Mapping[str, Any]],
    gates: Iterable[str] | None = None,
    thresholds: ThresholdFile | None = None,
) -> list[Verdict]:
    """Judge pieces by their rows.

    The verdicts are those of :func:`scoregate.validators.verdict.rules.judge`.

    Parameters
    ----------
    rows : DataFrame or sequence of mappings
        One row for each piece, as :func:`scoregate.validators.verdict.rules.row` returns it.
    gates : iterable of str, optional
        Names of the gates that must have judged a piece for it to pass; by default every
        registered one.
    thresholds : ThresholdFile, optional
        Those of the project by default.

    Returns
    -------
    list of Verdict
        In the order of the rows.

    Raises
    ------
    GateError
        There is no row, or Great Expectations fails.
    """
    file = thresholds or load()
    needed = tuple(gates) if gates is not None else registry.names(production=True)
    frame = _frame(rows, needed, file)
    rules = _rules(needed, file)
    results = _validate(frame, [expectation for _, expectation in rules])
    failed: list[list[Failure]] = [[] for _ in range(len(frame))]
    for (failure, _), result in zip(rules, results, strict=True):
        column, rule, severity, words = failure
        for index in _rows_that_fail(result, column):
            value = float(frame[column].iloc[index])
            known = None if rule == "known" else value
            failed[index].append(Failure(column, rule, severity, known, words))
    order = {key: place for place, key in enumerate(_columns(needed, file))}
    for items in failed:
        items.sort(key=lambda item: (order[item.column], SEVERITIES.index(item.severity)))
    ids = frame["piece_id"].tolist()
    return [
        Verdict(str(piece_id), status_of(items), items)
        for piece_id, items in zip(ids, failed, strict=True)
    ]


def _columns(gates: tuple[str, ...], file: ThresholdFile) -> list[str]:
    counts = [f"{gate}.{part}" for gate in gates for part in ("judged", "critical")]
    names = file.general.measures
    return counts + [name for name in names if name.partition(".")[0] in gates]


def _frame(
    rows: pd.DataFrame | Sequence[Mapping[str, Any]], gates: tuple[str, ...], file: ThresholdFile
) -> pd.DataFrame:
    """Return the columns that are judged, as floats; null for what is missing or no number."""
    given = rows if isinstance(rows, pd.DataFrame) else pd.DataFrame(list(rows))
    if not len(given):
        raise nothing_to_judge()
    styles = given["style"].tolist() if "style" in given else [""] * len(given)
    styles = [style if isinstance(style, str) else "" for style in styles]
    ids = given["piece_id"].tolist() if "piece_id" in given else [""] * len(given)
    frame = pd.DataFrame({ROW: range(len(given)), "piece_id": [str(item) for item in ids]})
    frame[THRESHOLDS] = [file.for_style(style or None).name for style in styles]
    for column in _columns(gates, file):
        values = given[column].tolist() if column in given else [None] * len(given)
        frame[column] = pd.Series([number(value) for value in values], dtype="float64")
    return frame


Rule = tuple[tuple[str, str, Severity, str], Any]
"""Column, rule, severity and words of a `Failure`, and the expectation that finds it."""


def _rules(gates: tuple[str, ...], file: ThresholdFile) -> list[Rule]:
    """Return the expectations on a row, in the order of the columns."""
    _import()
    rules = [rule for gate in gates for rule in _rules_of_gate(gate, file)]
    for name in file.general.measures:
        if name.partition(".")[0] in gates:
            rules += _rules_of_measure(name, file)
    return rules


def _rules_of_gate(gate: str, file: ThresholdFile) -> list[Rule]:
    """Expect that a gate judged, and found no more critical faults than allowed."""
    from great_expectations.expectations.core.expect_column_values_to_be_between import (
        ExpectColumnValuesToBeBetween,
    )
    from great_expectations.expectations.core.expect_column_values_to_be_in_set import (
        ExpectColumnValuesToBeInSet,
    )

    judged = (f"{gate}.judged", "judged", "critical", "judged")
    rules = [
        _known(f"{gate}.judged"),
        _rule(judged, ExpectColumnValuesToBeInSet, value_set=[1.0]),
        _known(f"{gate}.critical"),
    ]
    allowed = {limits.name: limits.findings.get(gate, 0) for limits in file.sets}
    for most, options in _by_value(allowed):
        within = (f"{gate}.critical", "within", "critical", f"at most {most}")
        rules.append(_rule(within, ExpectColumnValuesToBeBetween, max_value=most, **options))
    return rules


def _rules_of_measure(name: str, file: ThresholdFile) -> list[Rule]:
    """Expect that a measure is within its bounds, and that it has a value if it needs one."""
    from great_expectations.expectations.core.expect_column_values_to_be_between import (
        ExpectColumnValuesToBeBetween,
    )

    rules = []
    for bound, options in _by_value({limits.name: limits.measures[name] for limits in file.sets}):
        if bound.needed:
            rules.append(_known(name, **options))
        for level in SEVERITIES:
            limit = getattr(bound, level)
            if limit is not None:
                within = (name, "within", level, expected(bound.side, limit))
                between = _range(bound, limit) | options
                rules.append(_rule(within, ExpectColumnValuesToBeBetween, **between))
    return rules


def _known(column: str, **options: Any) -> Rule:
    """Expect that a column has a value."""
    from great_expectations.expectations.core.expect_column_values_to_not_be_null import (
        ExpectColumnValuesToNotBeNull,
    )

    known = (column, "known", "critical", "a number")
    return _rule(known, ExpectColumnValuesToNotBeNull, **options)


def _rule(failure: tuple[str, str, Severity, str], kind: Any, **options: Any) -> Rule:
    """Make an expectation of a kind, with gate, rule and severity for those who read it."""
    column, rule, severity, _ = failure
    meta = {"gate": column.partition(".")[0], "rule": rule}
    return failure, kind(column=column, severity=severity, meta=meta, **options)


def _range(bound: Bound, limit: float) -> dict[str, Any]:
    if bound.side == "high":
        return {"max_value": limit, "strict_max": True}
    return {"min_value": limit, "strict_min": True}


def _by_value(values: dict[str, Any]) -> list[tuple[Any, dict[str, Any]]]:
    """Group the sets of thresholds by a value that they share.

    Parameters
    ----------
    values : dict
        The value of each set, by the name of the set.

    Returns
    -------
    list of (value, dict)
        With the options that limit an expectation to the rows of these sets.
    """
    from great_expectations.expectations.row_conditions import Column

    groups: list[tuple[Any, list[str]]] = []
    for name, value in values.items():
        for known, names in groups:
            if known == value:
                names.append(name)
                break
        else:
            groups.append((value, [name]))
    if len(groups) == 1:
        return [(groups[0][0], {})]
    return [(value, {"row_condition": Column(THRESHOLDS).is_in(names)}) for value, names in groups]


_importing = threading.Lock()


def _import() -> None:
    """Import Great Expectations with its usage statistics switched off."""
    with _importing:
        os.environ["GX_ANALYTICS_ENABLED"] = "false"
        import great_expectations  # noqa: F401

        # It sets this logger to INFO and logs the path of its temporary folder on every call.
        logging.getLogger("great_expectations.data_context.types.base").setLevel(logging.WARNING)


def import_ahead() -> threading.Thread:
    """Import Great Expectations in a thread: seconds in which a run waits for its first pieces.

    A fault is not told here: :func:`judge` imports again, and raises it as every other one.
    """

    def attempt() -> None:
        with suppress(Exception):
            _import()

    thread = threading.Thread(target=attempt, name="import-great-expectations")
    thread.start()
    return thread


def _validate(frame: pd.DataFrame, expectations: list[Any]) -> list[Any]:
    """Run the suite; return one result for each expectation, in their order."""
    import great_expectations as gx
    from great_expectations.data_context.types.base import ProgressBarsConfig
    from great_expectations.exceptions.exceptions import GreatExpectationsError
    from great_expectations.expectations.core.expect_table_row_count_to_equal import (
        ExpectTableRowCountToEqual,
    )

    try:
        context = gx.get_context(mode="ephemeral")
        context.variables.progress_bars = ProgressBarsConfig(globally=False)
        definition = (
            context.data_sources.add_pandas("pieces")
            .add_dataframe_asset("pieces")
            .add_batch_definition_whole_dataframe("pieces")
        )
        suite = gx.ExpectationSuite(name="gate")
        count = ExpectTableRowCountToEqual(value=len(frame))
        for index, expectation in enumerate([count, *expectations]):
            expectation.meta = {**(expectation.meta or {}), "index": index}
            suite.add_expectation(expectation)
        outcome = definition.get_batch({"dataframe": frame}).validate(
            suite,
            result_format={
                "result_format": "COMPLETE",
                "unexpected_index_column_names": [ROW],
            },
        )
    except GreatExpectationsError as error:
        raise GateError(f"Great Expectations could not judge the pieces: {error}") from error
    by_index = {
        result.expectation_config.meta["index"]: result
        for result in outcome.results
        if result.expectation_config is not None and result.expectation_config.meta
    }
    if set(by_index) != set(range(len(expectations) + 1)) or not by_index[0].success:
        raise GateError("Great Expectations did not answer every expectation.")
    return [by_index[index] for index in range(1, len(expectations) + 1)]


def _rows_that_fail(result: Any, column: str) -> list[int]:
    """Return the numbers of the rows that fail an expectation."""
    raised = [
        info.get("exception_message") or "no reason given"
        for info in _exceptions(result.exception_info)
        if info.get("raised_exception")
    ]
    if raised:
        raise GateError(f"Great Expectations failed on {column}: {raised[0]}")
    listed = result.result.get("unexpected_index_list") or []
    if not result.success and not listed:
        raise GateError(f"Great Expectations rejects {column} and names no row.")
    return [int(entry[ROW]) for entry in listed]


def _exceptions(info: Any) -> list[dict]:
    """Return the exceptions of a result, which has one dict, or one for each metric."""
    if not info:
        return []
    return [info] if "raised_exception" in info else list(info.values())
