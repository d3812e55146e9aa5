"""Command-line options are derived from the fields of a request."""

from __future__ import annotations

from typing import Annotated

import pytest
import typer
from pydantic import AliasChoices, BaseModel, Field
from typer.testing import CliRunner

from scoregate.flows.cli import app
from scoregate.flows.options import help_of, takes
from scoregate.requests import (
    NO_OPTION,
    ProduceOptions,
    ScreenRequest,
    TrainRequest,
    VaryRequest,
)


class Order(BaseModel):
    """Something with one field of each kind."""

    dish: str = Field(description="What to cook.")
    plates: int = Field(default=2, ge=1, le=1000, description="How many.")
    heat: float = Field(default=0.5, gt=0, lt=1, description="How hot.")
    minutes: float | None = Field(
        default=None, validation_alias=AliasChoices("minutes", "wait"), description="How long."
    )
    salt: bool = Field(default=True, description="With salt.")


@pytest.fixture
def ordered() -> tuple[typer.Typer, list[tuple[Order, bool]]]:
    kitchen, seen = typer.Typer(), []

    @kitchen.command()
    @takes(Order, arguments=("dish",), names={"heat": ("--fire",)})
    def command(order: Order, loud: Annotated[bool, typer.Option()] = False) -> None:
        seen.append((order, loud))

    return kitchen, seen


def test_defaults_are_the_fields(ordered):
    kitchen, seen = ordered
    assert CliRunner().invoke(kitchen, ["soup"]).exit_code == 0
    assert seen == [(Order(dish="soup"), False)]


def test_every_field_can_be_given_under_each_of_its_names(ordered):
    kitchen, seen = ordered
    words = ["soup", "--plates", "3", "--fire", "0.25", "--wait", "4", "--no-salt", "--loud"]
    assert CliRunner().invoke(kitchen, words).exit_code == 0
    assert seen == [(Order(dish="soup", plates=3, heat=0.25, minutes=4, salt=False), True)]


def test_help_holds_description_and_range():
    fields = Order.model_fields
    assert help_of(fields["plates"]) == "How many. [1 to 1,000]"
    assert help_of(fields["heat"]) == "How hot. [above 0, below 1]"
    assert help_of(fields["salt"]) == "With salt."


@pytest.mark.parametrize(
    ("command", "request_model", "own_names"),
    [
        ("produce", ProduceOptions, {}),
        ("vary", VaryRequest, {"theme": "THEME"}),
        ("screen", ScreenRequest, {"paths": "PATHS"}),
        ("train", TrainRequest, {"source": "SOURCE", "weights": "--from"}),
    ],
)
def test_each_field_of_a_request_can_be_asked_for(command, request_model, own_names):
    shown = CliRunner().invoke(app, [command, "--help"], env={"COLUMNS": "200"}).stdout
    for name, field in request_model.model_fields.items():
        if NO_OPTION in field.metadata:
            assert f"--{name} " not in shown
            continue
        assert own_names.get(name, "--" + name.replace("_", "-")) in shown
        assert field.description, f"{name} has no description"
