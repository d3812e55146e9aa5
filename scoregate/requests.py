"""What a production run is asked for.

A pydantic model, so that the same checks hold for the command line, for a deployment's
parameters and for the form that Prefect's pages make of it.
"""

from __future__ import annotations

from typing import Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from scoregate.errors import RequestError

Model = TypeVar("Model", bound=BaseModel)
DEFAULT_STYLE = "Baroque/Bach, Johann Sebastian/Choral"


class ProduceRequest(BaseModel):
    """A request for a number of passing pieces in one style."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    style: str = Field(
        default=DEFAULT_STYLE,
        description="Period/Composer/Instrumentation; `scoregate styles` lists them.",
    )
    count: int = Field(default=4, ge=1, le=100_000, description="Passing pieces wanted.")
    temperature: float = Field(
        default=1.0, gt=0, le=10, allow_inf_nan=False, description="1 samples as trained."
    )
    top_k: int = Field(
        default=9, ge=0, le=128, description="Keep the k likeliest characters; 0 keeps all."
    )
    top_p: float = Field(
        default=0.9, gt=0, le=1, allow_inf_nan=False, description="Keep this much of the mass."
    )
    seed: int | None = Field(
        default=None,
        ge=0,
        lt=2**31,
        description="The same seed gives the same pieces; left out, one is drawn and recorded.",
    )
    rounds: int = Field(
        default=10, ge=1, le=1000, description="How often the missing pieces are drawn anew."
    )
    batch: int = Field(default=8, ge=1, le=256, description="Pieces written side by side.")
    max_patches: int | None = Field(
        default=None,
        ge=1,
        description="Most patches of up to 16 characters that are drawn for a piece; a longer one "
        "is cut off and rejected.",
    )
    max_minutes: float | None = Field(
        default=None,
        gt=0,
        allow_inf_nan=False,
        description="Most minutes for a piece, beside the others of its batch; a slower one is "
        "cut off and rejected.",
    )
    repair_lines: bool = Field(
        default=True,
        description="Draw a bar again while its voices disagree or its metre is wrong.",
    )
    weights: str | None = Field(
        default=None, description="Name or file of the weights; left out, the embedded model."
    )
    allow_untrained: bool = Field(
        default=False, description="Accept a style the weights were not trained on; labelled so."
    )
    device: str = Field(default="auto", description="auto, cpu, cuda, cuda:1, mps")
    precision: Literal["fp32", "bf16", "int8", "fp16"] = "fp32"
    threads: int | None = Field(
        default=None,
        ge=1,
        description="CPU threads for writing, at most; left out, as many as pay for weights "
        "of this size beside the machine's other work.",
    )
    out: str = Field(default="out", description="Folder of the archive and the reports.")
    audio: bool = Field(
        default=False, description="Add an audio preview where fluidsynth and a soundfont exist."
    )


def make_request(**values: object) -> ProduceRequest:
    """Return the request, or say in one sentence a field what is wrong with it.

    Raises
    ------
    RequestError
        A value is out of its range or of the wrong type.
    """
    return checked(ProduceRequest, **values)


def checked(model: type[Model], **values: object) -> Model:
    """Return an instance of a request's model; raises as :func:`make_request` does."""
    try:
        return model.model_validate(values)
    except ValidationError as error:
        faults = []
        for fault in error.errors():
            name = ".".join(str(part) for part in fault["loc"]).replace("_", "-")
            faults.append(f"{name}: {fault['msg'].lower()}, but it is {fault['input']!r}")
        raise RequestError(
            "This can't be asked for: " + "; ".join(faults) + ".",
            "The command's --help gives the ranges.",
        ) from error
