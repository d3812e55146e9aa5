"""What all requests have in common, and the check of values that a person gave."""

from __future__ import annotations

from typing import Annotated, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from scoregate.errors import RequestError

Model = TypeVar("Model", bound=BaseModel)
PathText = Annotated[str, "path"]
"""A path, kept as text so that a request is plain JSON."""
NO_OPTION = "no option"
"""Metadata of a field that a command sets itself."""
DEFAULT_STYLE = "Baroque/Bach, Johann Sebastian/Choral"


class Request(BaseModel):
    """What all requests have in common: they are frozen, and unknown fields are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


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
            said = fault["msg"].removeprefix("Value error, ")
            said = said[:1].lower() + said[1:].rstrip(".")
            # A fault of several fields together names them itself.
            faults.append(f"{name}: {said}, but it is {fault['input']!r}" if name else said)
        raise RequestError(
            "This request is not valid: " + "; ".join(faults) + ".",
            "The command's --help gives the ranges.",
        ) from error
