"""Measures of published pieces, shown behind the plots."""

from __future__ import annotations

import json
from functools import cache
from importlib import resources

from scoregate.dashboard.plots import Band


@cache
def bands() -> dict[str, Band]:
    """Return the band of each measure, by name.

    Source: ``reference.json``, written by ``benchmarks/reference_measures.py`` from
    pieces that NotaGen-X wrote and other people published.
    """
    text = resources.files(__package__ or "").joinpath("reference.json").read_text("utf-8")
    return {name: Band(*values) for name, values in json.loads(text)["measures"].items()}
