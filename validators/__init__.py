r"""Judge scores: gates, their findings and measures, thresholds, and the verdict.

>>> from scoregate.validators import examine
>>> examination = examine("X:1\nM:4/4\nL:1/4\nQ:1/4=90\nK:C\nCEGc|G2E2|\nCEG|]\n")
>>> examination.verdict().status
<Status.PASSED: 'passed'>

`examine` reads a text and lets the gates judge it; :meth:`Examination.verdict` draws the
verdict by the thresholds. `reward` makes a number of it, for training, and a `Judge` keeps
processes for many texts (docs/embedding.md). :mod:`scoregate.validators.registry` lists the
gates and their measures, those of other distributions included. Importing this package imports
no gate and no large library.
"""

from typing import TYPE_CHECKING, Any

from scoregate.findings import Failure, Finding, Outcome, Severity, Status, Verdict
from scoregate.validators import registry
from scoregate.validators.examination import Examination, examine
from scoregate.validators.registry import FunctionGate, Gate, Measure
from scoregate.validators.rewards import Judge, Judgement, judge_texts, reward
from scoregate.validators.verdict.rules import judge
from scoregate.validators.verdict.thresholds import ThresholdFile, Thresholds

if TYPE_CHECKING:
    from scoregate.validators.line_judge import accept_line

__all__ = [
    "Examination",
    "Failure",
    "Finding",
    "FunctionGate",
    "Gate",
    "Judge",
    "Judgement",
    "Measure",
    "Outcome",
    "Severity",
    "Status",
    "ThresholdFile",
    "Thresholds",
    "Verdict",
    "accept_line",
    "examine",
    "judge",
    "judge_texts",
    "registry",
    "reward",
]


def __getattr__(name: str) -> Any:
    """Return `accept_line`, whose rules import gates, when it is first asked for."""
    if name == "accept_line":
        from scoregate.validators.line_judge import accept_line

        return accept_line
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
