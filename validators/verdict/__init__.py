"""From findings and measures to a verdict.

:mod:`~scoregate.validators.verdict.thresholds` reads ``thresholds.toml``,
:mod:`~scoregate.validators.verdict.rules` judges in plain Python, and
:mod:`~scoregate.validators.verdict.suite` judges by Great Expectations and gives the same
verdicts. The suite is imported only where it is asked for, since Great Expectations takes
seconds to import.
"""

from scoregate.validators.verdict.rules import judge, row
from scoregate.validators.verdict.thresholds import (
    Bound,
    ThresholdFile,
    Thresholds,
    for_style,
    load,
)

__all__ = ["Bound", "ThresholdFile", "Thresholds", "for_style", "judge", "load", "row"]
