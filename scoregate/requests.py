"""Requests: what a production run, a screening and a training run are asked for.

They are pydantic models, so that the same checks hold for the command line (whose options
:mod:`scoregate.flows.options` derives from the fields), for a deployment's parameters and for
the form that Prefect's pages make of them. Unknown fields are refused.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection
from typing import Annotated, Any, Literal, TypeVar

from pydantic import AliasChoices, BaseModel, ConfigDict, Field, ValidationError, model_validator

from scoregate.errors import RequestError
from scoregate.presets import find_preset
from scoregate.styles import Style, resolve

Model = TypeVar("Model", bound=BaseModel)
PathText = Annotated[str, "path"]
"""A path, kept as text so that a request is plain JSON."""
NO_OPTION = "no option"
"""Metadata of a field that a command sets itself."""
DEFAULT_STYLE = "Baroque/Bach, Johann Sebastian/Choral"


class Request(BaseModel):
    """What all requests have in common: they are frozen, and unknown fields are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


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
    def _cluster_runs_shards(self) -> ProduceRequest:
        _check_cluster(self)
        return self

    @model_validator(mode="after")
    def _themes_are_for_notagen(self) -> ProduceRequest:
        if self.forced is not None and self.model != "notagen":
            raise ValueError(f"the generator {self.model} can't be given a theme; notagen can")
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


def _check_cluster(request: ProduceRequest) -> None:
    """Refuse a cluster where there are no shards, and two clusters."""
    if request.shards == 1 and (request.dask or request.deployment):
        raise ValueError("dask and deployment run shards: give their number with shards")
    if request.dask and request.deployment:
        raise ValueError("shards run on Dask or as a deployment's runs, not both")


_NOT_SHAPING = ("preset", "out", "batch", "threads", "processes", "fresh", "dask", "deployment")
"""Fields of a production request that say where and how fast, not what."""


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
    def _cluster_runs_shards(self) -> ProduceOptions:
        if not self.plan:
            if self.at_once or self.skip_bad_rows:
                raise ValueError("at-once and skip-bad-rows are for a plan: give it with plan")
            _check_cluster(self)
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


class TrainRequest(Request):
    """A request to train weights. Each field describes itself."""

    source: str = Field(
        default="bach-chorales",
        description="A folder of scores, `bach-chorales` or `fiddle-tunes`, or several with commas "
        "and shares: `bach-chorales=0.7,my-scores=0.3`. For the LSTM `bach-chorales`, `oneill`, "
        "`ryan` and `aird`, and several separated by commas.",
    )
    model: Literal["notagen", "lstm"] = Field(default="notagen", description="Kind of model.")
    folder: PathText = Field(default="training", description="The project's folder.")
    weights: str | None = Field(
        default=None,
        description="Weights to go on from: a name, a file, or `embedded`; left out, training "
        "starts from random weights.",
    )
    name: str = Field(
        default="mine",
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,60}$",
        description="Name of the new weights.",
    )
    style: str = Field(
        default="",
        description="The prompt that will ask for what is learnt. Pieces below a folder "
        "`Period_Composer_Instrumentation` have that style. Left out: Bach chorales; for the "
        "LSTM that of a collection, or Unknown/Unknown/Keyboard.",
    )
    settings: str | None = Field(
        default=None,
        description="Name or file of the settings of the run; left out, those of the embedded "
        "model, or a short fine-tuning where training goes on from weights.",
    )
    steps: int | None = Field(
        default=None,
        ge=1,
        description="Steps of fine-tuning; left out, sixty passes over the pieces. For the LSTM "
        "steps of training.",
    )
    seed: int = Field(
        default=1,
        ge=0,
        description="Seed for the order of the pieces, the transpositions and dropout.",
    )
    seeds: int = Field(
        default=1,
        ge=1,
        le=64,
        description="Train this many times, with seeds from `seed` on; the run that is best on "
        "the validation pieces is kept.",
    )
    patience: int = Field(
        default=0,
        ge=0,
        description="Stop after this many validations without a better one; 0 never stops early.",
    )
    pieces: int = Field(
        default=30, ge=3, le=3000, description="Pieces generated for the evaluation."
    )
    trained_on: str | None = Field(
        default=None,
        description="What the card says the weights were trained on; left out, the source's name.",
    )
    device: str = Field(default="cpu", description="cpu or cuda.")
    threads: int = Field(default=0, ge=0, description="CPU threads; 0 leaves it to torch.")

    @model_validator(mode="after")
    def _of_the_model(self) -> TrainRequest:
        """Fill in NotaGen's style; refuse what the LSTM can't do."""
        if not self.style and self.model == "notagen":
            object.__setattr__(self, "style", DEFAULT_STYLE)
        if self.weights is not None and self.model == "lstm":
            raise ValueError("the LSTM is trained from random weights, so `weights` must be unset")
        return self


class StudyRequest(Request):
    """A request to study the settings of a model. Each field describes itself."""

    folder: PathText = Field(default="study", description="The study's folder.")
    plan: str = Field(
        default="small",
        description="quick (minutes, shows the way only), small (under two hours), twice (its "
        "sizes doubled), scaled (hours), full (for a GPU or days), or a JSON file with the levels "
        "and limits.",
    )
    seeds: int | None = Field(
        default=None, ge=1, le=64, description="How often each arm is trained; else as planned."
    )
    updates: int | None = Field(
        default=None, ge=1, description="Limit of updates of an arm; else as planned."
    )
    seconds: float | None = Field(
        default=None,
        gt=0,
        allow_inf_nan=False,
        description="Limit of processor seconds of an arm; else as planned.",
    )
    pieces: int | None = Field(
        default=None,
        ge=2,
        le=3000,
        description="Pieces sampled at each temperature; else as planned.",
    )
    arms: str | None = Field(
        default=None,
        description="Only these arms, by name and separated by commas: original,all,hidden ...",
    )
    minutes: float | None = Field(
        default=None,
        gt=0,
        allow_inf_nan=False,
        description="Begin no arm after so many minutes; the page is written from what is "
        "finished, and the same command goes on.",
    )


def checked(model: type[Model], /, **values: object) -> Model:
    """Return an instance of a request's model, or say field by field what is wrong.

    Raises
    ------
    RequestError
        A value is out of its range or of the wrong type, or a field is unknown.
    """
    try:
        return model.model_validate(values)
    except ValidationError as error:
        faults = []
        for fault in error.errors():
            name = ".".join(str(part) for part in fault["loc"]).replace("_", "-")
            faults.append(f"{name}: {fault['msg'].lower()}, but it is {fault['input']!r}")
        raise RequestError(
            "This request is not valid: " + "; ".join(faults) + ".",
            "The command's --help gives the ranges.",
        ) from error
