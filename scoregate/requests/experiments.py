"""Requests for experiments: a grid of settings, a search, and a comparison of sets."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from scoregate.requests.base import PathText, Request


class SweepRequest(Request):
    """A request to measure a grid of settings. Each field describes itself."""

    temperature: list[float] = Field(
        default=[], description="Sampling temperature; give the option once for each value."
    )
    top_p: list[float] = Field(
        default=[], description="Probability mass to sample from; left out, 0.9."
    )
    top_k: list[int] = Field(
        default=[], description="Number of tokens to sample from; left out, 9."
    )
    preset: list[str] = Field(
        default=[], description="Sampling preset, measured beside the grid or in its place."
    )
    style: list[str] = Field(
        default=[],
        description="Period/Composer/Instrumentation; left out, Bach chorales.",
    )
    weights: list[str] = Field(
        default=[], description="Name or file of weights; left out, the embedded model."
    )
    model: str = Field(default="notagen", description="Kind of generator.")
    seed: list[int] = Field(
        default=[], description="Seed of a cell; with several, each setting has a cell for each."
    )
    count: int = Field(default=200, ge=1, le=100_000, description="Pieces of a cell.")
    lines: Literal["raw", "judged", "both"] = Field(
        default="raw",
        description="raw: as the model wrote them; judged: lines that break a rule are resampled; "
        "both: a cell for each.",
    )
    folder: PathText = Field(default="sweep", description="Folder of cells, tables and figures.")
    processes: int = Field(
        default=0, ge=0, le=256, description="Processes that generate; 0 takes every core."
    )
    dask: str | None = Field(
        default=None,
        pattern=r"^(local|(tcp|tls|ucx|ws|wss)://.+)$",
        description="'local', or the address of a Dask scheduler (tcp://host:8786) whose workers "
        "generate and judge.",
    )


class SearchRequest(Request):
    """A request to search for the best temperature and top_p. Each field describes itself."""

    style: str = Field(
        default="", description="Period/Composer/Instrumentation; left out, Bach chorales."
    )
    weights: str | None = Field(
        default=None, description="Name or file of the weights; left out, the embedded model."
    )
    model: str = Field(default="notagen", description="Kind of generator.")
    top_k: int = Field(default=9, ge=0, le=128, description="Number of tokens to sample from.")
    lines: Literal["raw", "judged"] = Field(
        default="judged",
        description="judged: lines that break a rule are resampled, as `produce` does; raw: as "
        "the model wrote them.",
    )
    count: int = Field(default=40, ge=1, le=10_000, description="Pieces of a run.")
    fine: int = Field(
        default=9, ge=0, le=500, description="Runs of the fine stage, after nine coarse ones."
    )
    reference: str = Field(
        default="",
        description="Set of pieces that the measures are held against, named as for `compare`; "
        "left out, corpus:bach-chorales for Bach chorales and none for other styles; `none` for "
        "none.",
    )
    most: int = Field(
        default=200, ge=5, le=5_000, description="Pieces of the reference; a larger one is drawn."
    )
    pass_share: float = Field(
        default=0.5, ge=0, allow_inf_nan=False, description="What the pass rate counts."
    )
    likeness_share: float = Field(
        default=0.3,
        ge=0,
        allow_inf_nan=False,
        description="What likeness to the reference counts.",
    )
    rating_share: float = Field(
        default=0.2,
        ge=0,
        allow_inf_nan=False,
        description="What ratings count, of the dashboard and of --ask.",
    )
    seed: int = Field(default=1, ge=0, lt=2**31, description="Seed of pieces and proposals.")
    out: PathText = Field(
        default="out", description="Folder of the archive whose ratings are read."
    )
    folder: PathText = Field(default="search", description="Folder of study, cells and results.")
    processes: int = Field(
        default=0, ge=0, le=256, description="Processes that generate; 0 takes every core."
    )

    @model_validator(mode="after")
    def _counts_something(self) -> SearchRequest:
        if not (self.pass_share or self.likeness_share or self.rating_share):
            raise ValueError("at least one of the shares must be above 0")
        return self


class CompareRequest(Request):
    """A request to compare two sets of pieces. Each field describes itself."""

    first: str = Field(
        description="A folder, file, pattern or archive of scores; corpus:NAME, run:ID, "
        "tag:NAME, style:TEXT, weights:NAME, rated:4, sweep:FOLDER, and these joined by commas."
    )
    second: str = Field(description="The set that the first is held against, named likewise.")
    out: PathText = Field(
        default="out", description="Folder of the archive that runs and tags are looked up in."
    )
    folder: PathText = Field(default="comparison", description="Folder of tables and figures.")
    most: int = Field(
        default=200, ge=1, le=5_000, description="Pieces of a set; a larger set is drawn from."
    )
    resamples: int = Field(
        default=200, ge=0, le=10_000, description="Bootstrap samples; 0 gives no intervals."
    )
    seed: int = Field(
        default=1, ge=0, description="Seed of the drawing, the bootstrap and the classifier."
    )
    processes: int = Field(
        default=0, ge=0, le=256, description="Processes that read; 0 takes every core."
    )
