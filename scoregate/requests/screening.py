"""The request to judge files of any origin."""

from __future__ import annotations

from pydantic import Field

from scoregate.requests.base import PathText, Request


class ScreenRequest(Request):
    """A request to judge files of any origin. Each field describes itself."""

    paths: list[str] = Field(
        min_length=1, description="Files, folders, patterns, zip archives, JSONL files."
    )
    out: PathText = Field(
        default="screened", description="Folder for passed/, rejected/ and results."
    )
    style: str | None = Field(
        default=None, description="Judge all by this style; left out, each by its own prompt."
    )
    novelty: bool = Field(
        default=False, description="Reject copies of known pieces too, for what a model wrote."
    )
    profile: str | None = Field(
        default=None,
        description="Judge all by this profile: notagen, strict, folk, early, melody or midi; left "
        "out, it is guessed for each piece.",
    )
    warn: list[str] = Field(
        default=[], description="Code of a finding that only warns, such as syntax.tie-dangling."
    )
    off: list[str] = Field(default=[], description="Code of a finding that is left out.")
    thresholds: str | None = Field(
        default=None, description="File of thresholds in place of the project's own."
    )
    processes: int = Field(
        default=0, ge=0, le=1024, description="Processes that judge; 0 takes every core."
    )
    batch: int = Field(default=2000, ge=1, description="Pieces of one Prefect task.")
    dask: str | None = Field(
        default=None,
        pattern=r"^(local|(tcp|tls|ucx|ws|wss)://.+)$",
        description="'local', or the address of a Dask scheduler (tcp://host:8786) whose workers "
        "share the disk.",
    )
