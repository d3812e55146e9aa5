"""Requests: what a production run, a screening and a training run are asked for.

They are pydantic models, so that the same checks hold for the command line (whose options
:mod:`scoregate.flows.options` derives from the fields), for a deployment's parameters and for
the form that Prefect's pages make of them. Unknown fields are refused.
"""

from scoregate.requests.base import DEFAULT_STYLE, NO_OPTION, Request, checked
from scoregate.requests.experiments import CompareRequest, SearchRequest, SweepRequest
from scoregate.requests.plans import PlanOptions, PlanRequest, ProduceOptions
from scoregate.requests.production import ForcedTheme, ProduceRequest, VaryRequest
from scoregate.requests.screening import ScreenRequest
from scoregate.requests.training import StudyRequest, TrainRequest

__all__ = [
    "DEFAULT_STYLE",
    "NO_OPTION",
    "CompareRequest",
    "ForcedTheme",
    "PlanOptions",
    "PlanRequest",
    "ProduceOptions",
    "ProduceRequest",
    "Request",
    "ScreenRequest",
    "SearchRequest",
    "StudyRequest",
    "SweepRequest",
    "TrainRequest",
    "VaryRequest",
    "checked",
]
