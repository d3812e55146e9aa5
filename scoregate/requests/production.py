"""Requests for pieces: a number of them in one style, and variations of a theme."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection
from typing import Annotated, Literal

from pydantic import AliasChoices, Field, field_validator, model_validator

from scoregate.errors import RequestError
from scoregate.form import parse_form
from scoregate.presets import find_preset
from scoregate.requests.base import DEFAULT_STYLE, NO_OPTION, PathText, Request, checked
from scoregate.styles import Style, resolve

DRAFTS = 4
"""Drafts that a piece is chosen from; benchmarks/results/quality.md has the measurement."""


class ForcedTheme(Request):
    """A theme that the pieces of a run are variations of; :mod:`scoregate.flows.vary` makes it."""

    text: str = Field(description="Header and bars as they are forced on the model.")
    forced_as: Literal["opening", "voice"] = Field(
        description="opening: the pieces begin with it; voice: it is their first voice."
    )
    parent: str = Field(
        description="The theme's id: SHA-256 of its text, as for a piece of the archive."
    )
    name: str = Field(description="Where it came from: a file, a piece, or the command line.")
    bars: str = Field(description="Which of its bars were taken, as 3-6.")


class ProduceRequest(Request):
    """A request for a number of passing pieces in one style. Each field describes itself."""

    style: str = Field(
        default="",
        description="Period/Composer/Instrumentation; `scoregate styles` lists them. Left out: "
        "Bach chorales, or the first style of another kind of generator.",
    )
    count: int = Field(default=4, ge=1, le=100_000, description="Passing pieces wanted.")
    preset: str = Field(
        default="",
        description="Sampling preset, which sets temperature, top_p and top_k where they are not "
        "given; `scoregate presets` lists them.",
    )
    temperature: float = Field(
        default=1.0,
        gt=0,
        le=10,
        allow_inf_nan=False,
        description="Sampling temperature; 1 samples as trained.",
    )
    top_k: int = Field(
        default=9, ge=0, le=128, description="Sample from the k most probable tokens; 0 keeps all."
    )
    top_p: float = Field(
        default=0.9,
        gt=0,
        le=1,
        allow_inf_nan=False,
        description="Sample from the most probable tokens that together have this probability.",
    )
    seed: int | None = Field(
        default=None,
        ge=0,
        lt=2**31,
        description="The same seed gives the same pieces; left out, one is chosen at random and "
        "recorded.",
    )
    rounds: int = Field(
        default=10, ge=1, le=1000, description="Most rounds; each resamples the missing pieces."
    )
    out: PathText = Field(default="out", description="Folder of the archive and the reports.")
    batch: int = Field(default=8, ge=1, le=256, description="Pieces generated side by side.")
    max_steps: int | None = Field(
        default=None,
        ge=1,
        validation_alias=AliasChoices("max_steps", "max_patches"),
        description="Most steps of the model for a piece; a longer one is cut off and rejected. "
        "A step of NotaGen is a patch of 16 characters: nine in ten of NotaGen-X's published "
        "pieces have up to 450.",
    )
    max_minutes: float | None = Field(
        default=None,
        gt=0,
        allow_inf_nan=False,
        description="Most minutes for a piece, generated beside the others of its batch; a slower "
        "one is cut off and rejected.",
    )
    model: str = Field(
        default="notagen",
        description="Kind of generator: notagen, lstm, or one that another package registers.",
    )
    weights: str | None = Field(
        default=None, description="Name or file of the weights; left out, the embedded model."
    )
    device: str = Field(default="auto", description="auto, cpu, cuda, cuda:1 or mps.")
    precision: Literal["fp32", "bf16", "int8", "fp16"] = Field(
        default="fp32", description="Precision of the weights; int8 on a CPU, fp16 on CUDA."
    )
    threads: int | None = Field(
        default=None,
        ge=1,
        description="Most CPU threads for generation; left out, as many as pay for weights of "
        "this size beside the machine's other work.",
    )
    repair_lines: bool = Field(
        default=True,
        description="Resample a bar that the gates would reject, as far as the text up to it "
        "tells: its voices, metre, syntax, ranges, ties, count of bars, loops.",
    )
    counterpoint: bool = Field(
        default=True,
        description="Where lines are repaired and the style is for a choir: resample a bar also "
        "for parallels, forbidden leaps, lost sevenths, doubled leading tones and weak cadences. "
        "In fiddle tunes: for bars that do not fill the metre, and ends off the tonic.",
    )
    form: str = Field(
        default="",
        max_length=400,
        description="Phrases, cadences and returns of every piece, as A8V:h B8I A8V:h C8I: "
        "docs/model.md#form. For weights that were trained on forms, as the embedded chorales; "
        "left out, each piece has one of its own.",
    )
    quality: Literal["normal", "best"] = Field(
        default="normal",
        description="best: several drafts are drawn for each piece, and the best one by the gates, "
        "the rules of its style and a learned critic goes on. It takes as many times as long.",
    )
    drafts: int | None = Field(
        default=None,
        ge=1,
        le=64,
        description=f"Drafts for each piece with quality best; left out, {DRAFTS}.",
    )
    allow_untrained: bool = Field(
        default=False,
        description="Accept a style the weights were not trained on; the pieces are labelled so.",
    )
    audio: bool = Field(
        default=False, description="Add an audio preview where fluidsynth and a soundfont exist."
    )

    processes: int = Field(
        default=0,
        ge=0,
        le=256,
        description="Processes that generate, on a CPU; 0 takes as many as the cores and the "
        "number of pieces pay for.",
    )
    fresh: bool = Field(
        default=False,
        description="Start anew, although a run of this request is unfinished and could go on.",
    )

    shards: int = Field(
        default=1,
        ge=1,
        le=10_000,
        description="Cut the request into this many runs with seeds of their own, which can run "
        "at once, and join them into one record.",
    )
    dask: str | None = Field(
        default=None,
        pattern=r"^(local|(tcp|tls|ucx|ws|wss)://.+)$",
        description="Run the shards on a Dask cluster: 'local', or the address of a scheduler "
        "(tcp://host:8786) whose workers share the disk.",
    )
    deployment: str | None = Field(
        default=None,
        pattern=r"^[^/]+/[^/]+$",
        description="Run the shards as flow runs of this deployment (produce/on-demand), by the "
        "workers of its pool, which share the disk.",
    )
    part_of: str | None = Field(
        default=None,
        description="Set for a shard: the run that it is part of, and its number.",
    )
    forced: Annotated[ForcedTheme | None, NO_OPTION] = Field(
        default=None, description="The theme that is forced on the pieces; `scoregate vary`."
    )

    @model_validator(mode="before")
    @classmethod
    def _values_of_preset(cls, values: object) -> object:
        """Fill in the values of the preset that are not given."""
        if isinstance(values, dict) and values.get("preset"):
            return find_preset(str(values["preset"])).values | values
        return values

    @model_validator(mode="after")
    def _style_of_notagen(self) -> ProduceRequest:
        """Fill in the default style, which is NotaGen's; other generators have their own."""
        if not self.style and self.model == "notagen":
            object.__setattr__(self, "style", DEFAULT_STYLE)
        return self

    @model_validator(mode="after")
    def _drafts_are_for_best(self) -> ProduceRequest:
        settle_drafts(self)
        return self

    @model_validator(mode="after")
    def _cluster_runs_shards(self) -> ProduceRequest:
        check_cluster(self)
        return self

    @model_validator(mode="after")
    def _themes_are_for_notagen(self) -> ProduceRequest:
        if self.forced is not None and self.model != "notagen":
            raise ValueError(f"the generator {self.model} can't be given a theme; notagen can")
        return self

    @field_validator("form")
    @classmethod
    def _form_can_be_read(cls, form: str) -> str:
        """Return the form in its shortest writing."""
        try:
            return str(parse_form(form)) if form.strip() else ""
        except RequestError as error:
            raise ValueError(f"{error.problem} {error.remedy}") from None

    @model_validator(mode="after")
    def _forms_are_for_notagen(self) -> ProduceRequest:
        if self.form and self.model != "notagen":
            raise ValueError(f"the generator {self.model} can't be given a form; notagen can")
        return self

    @property
    def key(self) -> str:
        """What identifies the request: a hash of the fields that shape its pieces.

        Requests with the same key make the same pieces, or would where they name no seed. The
        style must be given in full: see :meth:`in_full`.
        """
        shaping = self.model_dump(mode="json", exclude=set(_NOT_SHAPING))
        if self.forced is None:
            del shaping["forced"]  # Requests from before there were themes keep their key.
        if not self.form:
            del shaping["form"]
        if self.quality == "normal":
            del shaping["quality"], shaping["drafts"]  # So do those from before this choice.
        text = json.dumps(shaping, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()

    def in_full(self, trained: Collection[Style] | None) -> ProduceRequest:
        """Return the request with its style in full.

        Parameters
        ----------
        trained : collection of Style or None
            What the weights were trained on; None where they name no styles.

        Raises
        ------
        RequestError
            An unknown style, or one that the weights were not trained on.
        """
        asked = self.style or next(map(str, trained or ()), DEFAULT_STYLE)
        style = resolve(asked, trained=trained, allow_untrained=self.allow_untrained)
        return self.model_copy(update={"style": str(style)})


def settle_drafts(request: ProduceRequest) -> None:
    """Fill in the number of drafts; refuse one where nothing is chosen among them.

    Raises
    ------
    ValueError
        Which pydantic turns into a fault of the request.
    """
    if request.quality == "best" and request.drafts is None:
        object.__setattr__(request, "drafts", DRAFTS)
    if request.drafts is not None and request.quality != "best":
        raise ValueError("drafts are drawn with quality best: give quality best, or no drafts")


def check_cluster(request: ProduceRequest) -> None:
    """Refuse a cluster where there are no shards, and two clusters.

    Raises
    ------
    ValueError
        Which pydantic turns into a fault of the request.
    """
    if request.shards == 1 and (request.dask or request.deployment):
        raise ValueError("dask and deployment run shards: give their number with shards")
    if request.dask and request.deployment:
        raise ValueError("shards run on Dask or as a deployment's runs, not both")


_NOT_SHAPING = ("preset", "out", "batch", "threads", "processes", "fresh", "dask", "deployment")
"""Fields of a production request that say where and how fast, not what."""


class VaryRequest(ProduceRequest):
    """A request for variations of a theme, made by a production run that they are ranked of."""

    theme: str = Field(
        min_length=1,
        description="A piece of the archive by the beginning of its id, a file (ABC, MusicXML, "
        "MIDI), ABC text, or - for ABC on standard input.",
    )
    bars: str = Field(
        default="",
        pattern=r"^(\d{1,5}(-\d{1,5})?)?$",
        description="Bars of the theme to take, such as 1-4 or 5; left out, all of them.",
    )
    reharmonise: bool = Field(
        default=False,
        description="Keep the theme's first voice as the soprano of the whole piece, note for "
        "note, and write the other voices anew.",
    )
    count: int = Field(default=8, ge=1, le=1000, description="Passing variations wanted.")
    temperature: float = Field(
        default=0.9,
        gt=0,
        le=10,
        allow_inf_nan=False,
        description="Sampling temperature; low, so that the theme is kept to.",
    )

    def production(self, forced: ForcedTheme) -> ProduceRequest:
        """Return the request of the production run that makes the variations."""
        values = self.model_dump(exclude={"theme", "bars", "reharmonise", "forced"})
        return checked(ProduceRequest, **values, forced=forced)
