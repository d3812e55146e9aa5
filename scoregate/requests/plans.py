"""Requests to run a plan, which is a file of many production requests."""

from __future__ import annotations

from typing import Any

from pydantic import Field, model_validator

from scoregate.requests.base import PathText, Request, checked
from scoregate.requests.production import ProduceRequest, check_cluster, settle_drafts


class PlanOptions(Request):
    """Which plan is run, and how. Each field describes itself."""

    plan: PathText = Field(
        default="",
        description="Run the requests of this file in place of one: TOML, CSV with a header, or "
        "JSON lines. The options beside it hold for the rows that do not say otherwise.",
    )
    at_once: int = Field(
        default=0,
        ge=0,
        le=256,
        description="Most requests of a plan at once; 0 takes every core, or what a cluster has.",
    )
    skip_bad_rows: bool = Field(
        default=False,
        description="Run the other rows of a plan where some are not valid.",
    )


class PlanRequest(PlanOptions):
    """A request to run a plan. Each field describes itself."""

    plan: PathText = Field(min_length=1, description="File of the plan.")
    defaults: dict[str, Any] = Field(
        default={}, description="Values of the rows that do not give them, by field."
    )
    out: PathText = Field(default="out", description="Folder of the archive and the reports.")
    fresh: bool = Field(default=False, description="Run finished requests again.")
    dask: str | None = Field(default=None, description="Run the requests on a Dask cluster.")
    deployment: str | None = Field(
        default=None, description="Run the requests as flow runs of this deployment."
    )


class ProduceOptions(ProduceRequest, PlanOptions):
    """What `scoregate produce` can be asked for: one request, or the requests of a plan."""

    @model_validator(mode="after")
    def _drafts_are_for_best(self) -> ProduceOptions:
        """Leave the drafts of a plan to its rows, which may name the quality themselves."""
        if not self.plan:
            settle_drafts(self)
        return self

    @model_validator(mode="after")
    def _cluster_runs_shards(self) -> ProduceOptions:
        if not self.plan:
            if self.at_once or self.skip_bad_rows:
                raise ValueError("at-once and skip-bad-rows are for a plan: give it with plan")
            check_cluster(self)
        return self

    def production(self) -> ProduceRequest:
        """Return the one request."""
        given = {name: getattr(self, name) for name in ProduceRequest.model_fields}
        return ProduceRequest.model_construct(
            self.model_fields_set & ProduceRequest.model_fields.keys(), **given
        )

    def plan_request(self) -> PlanRequest:
        """Return the request to run a plan; what was given beside it are the rows' defaults."""
        own = PlanRequest.model_fields.keys() - {"defaults"}
        values = {name: getattr(self, name) for name in own}
        defaults = {name: getattr(self, name) for name in self.model_fields_set - own}
        return checked(PlanRequest, **values, defaults=defaults)
