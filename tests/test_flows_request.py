"""Requests: what can't be asked for is refused in a sentence."""

import pytest

from scoregate.errors import RequestError
from scoregate.requests import ProduceRequest, checked
from scoregate.seeds import seeds_of_round
from scoregate.styles import Style


def test_defaults_ask_for_four_chorales():
    request = checked(ProduceRequest)
    assert (request.count, request.style) == (4, "Baroque/Bach, Johann Sebastian/Choral")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("temperature", 0),
        ("temperature", -1.0),
        ("temperature", float("nan")),
        ("count", 0),
        ("top_k", 129),
        ("top_k", -1),
        ("top_p", 0),
        ("top_p", 1.01),
        ("rounds", 0),
        ("max_steps", 0),
        ("threads", 0),
        ("max_minutes", 0),
        ("max_minutes", float("inf")),
        ("seed", -1),
        ("precision", "fp8"),
        ("colour", "red"),
    ],
)
def test_what_cannot_be_served_is_named(field, value):
    with pytest.raises(RequestError) as caught:
        checked(ProduceRequest, **{field: value})
    assert field.replace("_", "-") in caught.value.problem
    assert caught.value.remedy


def test_a_request_survives_json():
    request = checked(ProduceRequest, count=7, seed=3)
    assert ProduceRequest.model_validate_json(request.model_dump_json()) == request


def test_rounds_and_neighbouring_seeds_share_no_seed():
    seeds = [
        seed for run in (7, 8) for number in (1, 2, 3) for seed in seeds_of_round(run, number, 20)
    ]
    assert len(set(seeds)) == len(seeds)
    assert all(0 <= seed < 2**31 for seed in seeds)


def test_the_same_round_has_the_same_seeds():
    assert seeds_of_round(7, 1, 4) == seeds_of_round(7, 1, 8)[:4]


def test_the_former_name_of_a_field_is_still_taken():
    assert checked(ProduceRequest, max_patches=60) == checked(ProduceRequest, max_steps=60)


def test_other_generators_have_their_own_default_style():
    request = checked(ProduceRequest, model="scale")
    assert request.style == ""
    styles = (Style("Etude", "Anonymous", "Flute"), Style("Etude", "Anonymous", "Oboe"))
    assert request.in_full(styles).style == "Etude/Anonymous/Flute"


def test_a_refusal_keeps_the_words_of_the_fault():
    """Capitals mean something in a form, and a fault of several fields names them itself."""
    with pytest.raises(RequestError) as caught:
        checked(ProduceRequest, form="A8I verse")
    assert "form: the form has 'verse', which is no phrase. Phrases look like 'A8V:h" in str(
        caught.value
    )
    with pytest.raises(RequestError) as caught:
        checked(ProduceRequest, drafts=3)
    assert str(caught.value).startswith(
        "This request is not valid: drafts are drawn with quality best"
    )
