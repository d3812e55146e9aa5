"""Requests to train weights, and to study the settings of a model."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from scoregate.requests.base import DEFAULT_STYLE, PathText, Request


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
