"""The verdict by Great Expectations: a suite over one row per piece.

The rules are those of :mod:`scoregate.validators.verdict.rules`. Great Expectations adds a
validation
that others can read and store, with gate and severity on each expectation. Left to
itself it fails open in three ways, and each is closed here:

- a NaN passes every expectation on values: each needed column has one against nulls;
- an empty frame passes everything: it is refused, and the number of rows is expected;
- a column that is missing gives no list of rows: it is put in as nulls, so that every
  row fails. A failure without rows that is none of these is an error, not a pass.

The verdict comes from the rows that each expectation lists, never from its `success`.
Importing Great Expectations takes seconds, so it is imported on the first call.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pandas as pd

from scoregate.errors import GateError
from scoregate.findings import Failure, Verdict
from scoregate.validators import registry
from scoregate.validators.verdict.rules import (
    expected,
    nothing_to_judge,
    number,
    status_of,
)
from scoregate.validators.verdict.thresholds import SEVERITIES, Bound, ThresholdFile, load

ROW = "row"
"""Number of the row: piece ids may repeat."""
LINES = "thresholds"
"""Name of the set of thresholds that holds for the row's style."""


def judge(
    rows: pd.DataFrame | Sequence[Mapping[str, Any]],
    gates: Iterable[str] | None = None,
    thresholds: ThresholdFile | None = None,
) -> list[Verdict]:
    """Judge pieces by their rows; the same answer as
    :func:`scoregate.validators.verdict.rules.judge`.

    Parameters
    ----------
    rows : DataFrame or sequence of mappings
        One row a piece, as :func:`scoregate.validators.verdict.rules.row` makes them.
    gates : iterable of str, optional
        Names of the gates that must have judged a piece for it to pass; by default every
        registered one.
    thresholds : ThresholdFile, optional
        The project's own by default.

    Returns
    -------
    list of Verdict
        In the order of the rows.

    Raises
    ------
    GateError
        For no rows, or when Great Expectations fails at its own work.
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
    order = {key: place for place, key in enumerate(_order(needed, file))}
    for items in failed:
        items.sort(key=lambda item: (order[item.column], SEVERITIES.index(item.severity)))
    ids = frame["piece_id"].tolist()
    return [
        Verdict(str(piece_id), status_of(items), items)
        for piece_id, items in zip(ids, failed, strict=True)
    ]


def _order(gates: tuple[str, ...], file: ThresholdFile) -> list[str]:
    counts = [f"{gate}.{part}" for gate in gates for part in ("judged", "critical")]
    names = file.general.measures
    return counts + [name for name in names if name.partition(".")[0] in gates]


def _frame(
    rows: pd.DataFrame | Sequence[Mapping[str, Any]], gates: tuple[str, ...], file: ThresholdFile
) -> pd.DataFrame:
    """The fixed columns, as floats: what is missing or no number becomes a null."""
    given = rows if isinstance(rows, pd.DataFrame) else pd.DataFrame(list(rows))
    if not len(given):
        raise nothing_to_judge()
    styles = given["style"].tolist() if "style" in given else [""] * len(given)
    styles = [style if isinstance(style, str) else "" for style in styles]
    ids = given["piece_id"].tolist() if "piece_id" in given else [""] * len(given)
    frame = pd.DataFrame({ROW: range(len(given)), "piece_id": [str(item) for item in ids]})
    frame[LINES] = [file.for_style(style or None).name for style in styles]
    for column in _order(gates, file):
        values = given[column].tolist() if column in given else [None] * len(given)
        frame[column] = pd.Series([number(value) for value in values], dtype="float64")
    return frame


def _rules(gates: tuple[str, ...], file: ThresholdFile) -> list[tuple[tuple, Any]]:
    """Each expectation, with what a row that fails it is told."""
    _import()
    from great_expectations.expectations.core.expect_column_values_to_be_between import (
        ExpectColumnValuesToBeBetween,
    )
    from great_expectations.expectations.core.expect_column_values_to_be_in_set import (
        ExpectColumnValuesToBeInSet,
    )
    from great_expectations.expectations.core.expect_column_values_to_not_be_null import (
        ExpectColumnValuesToNotBeNull,
    )

    rules: list[tuple[tuple, Any]] = []

    def add(column: str, rule: str, severity: str, words: str, kind: Any, **options: Any) -> None:
        meta = {"gate": column.partition(".")[0], "rule": rule}
        told = (column, rule, severity, words)
        rules.append((told, kind(column=column, severity=severity, meta=meta, **options)))

    def known(column: str, **options: Any) -> None:
        kind = ExpectColumnValuesToNotBeNull
        add(column, "known", "critical", "a number", kind, **options)

    for gate in gates:
        known(f"{gate}.judged")
        kind = ExpectColumnValuesToBeInSet
        add(f"{gate}.judged", "judged", "critical", "judged", kind, value_set=[1.0])
        known(f"{gate}.critical")
        for most, options in _by_lines(
            {line.name: line.findings.get(gate, 0) for line in file.sets}
        ):
            kind = ExpectColumnValuesToBeBetween
            add(
                f"{gate}.critical",
                "within",
                "critical",
                f"at most {most}",
                kind,
                max_value=most,
                **options,
            )
    for name in file.general.measures:
        if name.partition(".")[0] not in gates:
            continue
        for bound, options in _by_lines({line.name: line.measures[name] for line in file.sets}):
            if bound.needed:
                known(name, **options)
            for level in SEVERITIES:
                limit = getattr(bound, level)
                if limit is not None:
                    words = expected(bound.side, limit)
                    add(
                        name,
                        "within",
                        level,
                        words,
                        ExpectColumnValuesToBeBetween,
                        **_range(bound, limit),
                        **options,
                    )
    return rules


def _range(bound: Bound, limit: float) -> dict[str, Any]:
    if bound.side == "high":
        return {"max_value": limit, "strict_max": True}
    return {"min_value": limit, "strict_min": True}


def _by_lines(values: dict[str, Any]) -> list[tuple[Any, dict[str, Any]]]:
    """Group the sets of thresholds by a value they share; with the condition for each."""
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
    return [(value, {"row_condition": Column(LINES).is_in(names)}) for value, names in groups]


_importing = threading.Lock()


def _import() -> None:
    """Import Great Expectations without its reports to its makers."""
    with _importing:
        os.environ["GX_ANALYTICS_ENABLED"] = "false"
        import great_expectations  # noqa: F401

        # It sets this one logger to INFO and tells of its temporary folder on every call.
        logging.getLogger("great_expectations.data_context.types.base").setLevel(logging.WARNING)


def _validate(frame: pd.DataFrame, expectations: list[Any]) -> list[Any]:
    """Run the suite; one result for each expectation, in their order."""
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
    """GX gives one dict, or one for each metric."""
    if not info:
        return []
    return [info] if "raised_exception" in info else list(info.values())
