"""Findings as SARIF 2.1.0, the form in which code review shows the remarks of checkers.

The Static Analysis Results Interchange Format is an OASIS standard. GitHub, GitLab and most
editors show such a file beside the lines of a change.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from typing import Any
from urllib.parse import quote

from scoregate import __version__
from scoregate.findings import Finding, Status
from scoregate.validators.checking import Checked

SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
_LEVELS = {"critical": "error", "warning": "warning", "info": "note"}
_TUNE = re.compile(r"#\d+$")


def sarif_log(pieces: Iterable[Checked]) -> dict[str, Any]:
    """Return the log of one run of ``scoregate check``.

    Parameters
    ----------
    pieces : iterable of Checked
        The judged pieces; a tune of a tunebook is called ``book.abc#12``.

    Returns
    -------
    dict
        JSON-ready. There is a rule for each code, and a result for each finding. A piece that
        was rejected or could not be judged without a critical finding has a result that says
        why.
    """
    results: list[dict[str, Any]] = []
    rules: dict[str, int] = {}
    for piece in pieces:
        critical = False
        for finding in piece.findings:
            critical |= finding.severity == "critical"
            results.append(_result(piece.file, finding, rules))
        if piece.status is not Status.PASSED and not critical:
            why = "; ".join(piece.reasons) or str(piece.status)
            results.append(
                _result(piece.file, Finding("verdict", "verdict.failed", "critical", why), rules)
            )
    driver = {
        "name": "scoregate",
        "version": __version__,
        "rules": [{"id": code, "shortDescription": {"text": _plain(code)}} for code in rules],
    }
    run = {
        "tool": {"driver": driver},
        "columnKind": "unicodeCodePoints",
        "results": results,
    }
    return {"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}


def _result(file: str, finding: Finding, rules: dict[str, int]) -> dict[str, Any]:
    """Return the result for a finding, and number its rule."""
    index = rules.setdefault(finding.code, len(rules))
    place: dict[str, Any] = {"artifactLocation": {"uri": _uri(file)}}
    if finding.line is not None:
        region = {"startLine": finding.line}
        if finding.column is not None:
            region["startColumn"] = finding.column
        place["region"] = region
    else:
        place["region"] = {"startLine": 1}  # code review shows no result without a line
    tune = _TUNE.search(file)
    text = f"tune {tune[0][1:]}: {_message(finding)}" if tune else _message(finding)
    return {
        "ruleId": finding.code,
        "ruleIndex": index,
        "level": _LEVELS[finding.severity],
        "message": {"text": text},
        "locations": [{"physicalLocation": place}],
    }


def _message(finding: Finding) -> str:
    """Return the sentence with its voice and bar; line and column stand in the region."""
    where = [f"voice {finding.voice}"] if finding.voice is not None else []
    where += [f"bar {finding.bar}"] if finding.bar is not None else []
    return ": ".join(part for part in (", ".join(where), finding.message) if part)


def _plain(code: str) -> str:
    """Return the words of a code: ``bars.too-long`` is "bars: too long"."""
    gate, _, kind = code.partition(".")
    return f"{gate}: {kind.replace('-', ' ').replace('_', ' ')}"


def _uri(file: str) -> str:
    """Return the path of a file, from the working directory where it lies below it."""
    path = _TUNE.sub("", file)
    if os.path.isabs(path):
        near = os.path.relpath(path)
        path = path if near.startswith("..") else near
    return quote(path.replace(os.sep, "/"), safe="/!")
