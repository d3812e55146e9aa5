"""Command-line options derived from the fields of a request.

A field of a request (:mod:`scoregate.requests`) becomes an option of the same name: its type,
default and description are the field's, and its range is added to the help text. A command says
only what a field can't: which fields are positional arguments, and other names of an option::

    @takes(TrainRequest, arguments=("source",), names={"weights": ("--from",)})
    def command(request: TrainRequest, verbose: Verbose = False) -> None: ...
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any

import typer
from pydantic import AliasChoices, BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from scoregate.requests import NO_OPTION, checked

Verbose = Annotated[bool, typer.Option("-v", "--verbose", help="Show Prefect's log too.")]


def takes(
    model: type[BaseModel],
    arguments: Sequence[str] = (),
    names: Mapping[str, Sequence[str]] | None = None,
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Turn a function of a request into a command with an option for each of its fields.

    Parameters
    ----------
    model : type of pydantic.BaseModel
        The request.
    arguments : sequence of str
        Fields that are positional arguments, in this order; such a field must be given.
    names : mapping of str to sequence of str, optional
        By field: the option's names in place of the one derived from the field.

    Returns
    -------
    callable
        A decorator. The decorated function's first parameter takes the request; the others are
        options of the command beside it.
    """
    names = names or {}
    fields = {
        name: each for name, each in model.model_fields.items() if NO_OPTION not in each.metadata
    }
    ordered = [*arguments, *(name for name in fields if name not in arguments)]

    def decorate(function: Callable[..., None]) -> Callable[..., None]:
        _, *own = inspect.signature(function, eval_str=True).parameters.values()
        derived = [
            _argument(name, fields[name])
            if name in arguments
            else _option(name, fields[name], names.get(name))
            for name in ordered
        ]

        @functools.wraps(function)
        def command(context: typer.Context, **values: Any) -> None:
            given = {name: values.pop(name) for name in ordered}
            # What was not typed is left out, so that the request can tell: a preset fills it in.
            asked = {name: value for name, value in given.items() if _was_typed(context, name)}
            function(checked(model, **asked), **values)

        parameters = [
            parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY) for parameter in [*derived, *own]
        ]
        context = inspect.Parameter(
            "context", inspect.Parameter.KEYWORD_ONLY, annotation=typer.Context
        )
        parameters = [context, *parameters]
        command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        command.__annotations__ = {each.name: each.annotation for each in parameters}
        return command

    return decorate


def _was_typed(context: typer.Context, name: str) -> bool:
    """Return whether an option's value comes from the command line, not from its default."""
    source = context.get_parameter_source(name)
    return source is None or source.name not in ("DEFAULT", "DEFAULT_MAP")


def help_of(field: FieldInfo) -> str:
    """Return an option's help text: the field's description and its range."""
    text = field.description or ""
    allowed = range_of(field)
    return f"{text} [{allowed}]" if allowed else text


def range_of(field: FieldInfo) -> str:
    """Return a number's range in words, ``1 to 256`` or ``above 0, at most 10``, or ``""``."""
    bounds = {
        name: getattr(each, name)
        for each in field.metadata
        for name in ("ge", "gt", "le", "lt")
        if getattr(each, name, None) is not None
    }
    if "ge" in bounds and "le" in bounds:
        return f"{bounds['ge']:,} to {bounds['le']:,}"
    words = {"ge": "at least", "gt": "above", "le": "at most", "lt": "below"}
    return ", ".join(f"{words[name]} {bound:,}" for name, bound in bounds.items())


def _argument(name: str, field: FieldInfo) -> inspect.Parameter:
    argument = typer.Argument(help=help_of(field), metavar=name.upper())
    return inspect.Parameter(
        name, inspect.Parameter.KEYWORD_ONLY, annotation=Annotated[field.annotation, argument]
    )


def _option(name: str, field: FieldInfo, names: Sequence[str] | None) -> inspect.Parameter:
    option = typer.Option(
        *(names or _names(name, field)),
        help=help_of(field),
        metavar="<path>" if "path" in field.metadata else None,
    )
    default = inspect.Parameter.empty if field.default is PydanticUndefined else field.default
    return inspect.Parameter(
        name,
        inspect.Parameter.KEYWORD_ONLY,
        default=default,
        annotation=Annotated[field.annotation, option],
    )


def _names(name: str, field: FieldInfo) -> list[str]:
    """Return an option's names: the field's own and those of its aliases."""
    alias = field.validation_alias
    known = [str(each) for each in alias.choices] if isinstance(alias, AliasChoices) else [name]
    switches = ["--" + each.replace("_", "-") for each in known]
    if field.annotation is bool:
        return [f"{switch}/--no-{switch[2:]}" for switch in switches]
    return switches
