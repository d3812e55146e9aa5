"""The command line that asks for a request: what a page of results shows to repeat it."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

from pydantic import BaseModel


def command_of(command: str, request: BaseModel, arguments: Sequence[str] = ()) -> str:
    """Return the command that asks for a request; fields at their default are left out.

    Parameters
    ----------
    command : str
        Name of the command, such as ``sweep``.
    request : BaseModel
    arguments : sequence of str
        Fields that are positional arguments.
    """
    words = ["scoregate", *command.split()]
    words += [shlex.quote(str(getattr(request, name))) for name in arguments]
    for name, value in request.model_dump(exclude_defaults=True).items():
        if name in arguments:
            continue
        option = "--" + name.replace("_", "-")
        if isinstance(value, bool):
            words.append(option if value else f"--no-{option[2:]}")
            continue
        for each in value if isinstance(value, list) else [value]:
            words += [option, shlex.quote(str(each))]
    return " ".join(words)
