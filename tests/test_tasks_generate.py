"""The task that draws drafts: its limits, and what Ctrl-C leaves."""

from __future__ import annotations

import pytest
from notagen_models import random_weights

from scoregate.flows.launch import minutes
from scoregate.notagen.model.shape import ModelShape
from scoregate.requests import ProduceRequest
from scoregate.tasks import generate as module

pytestmark = pytest.mark.slow


def drafts(count: int = 1, **values):
    request = ProduceRequest(seed=1, batch=1, **values)
    return module.generate.fn(request, 1, list(range(count)))


def test_no_more_patches_are_drawn_than_asked_for():
    (draft,), stopped = drafts(max_patches=60)
    assert (draft.ended, draft.provenance["patches"], stopped) == ("length", 60, False)
    whole = draft.raw.split("\n")[:-1]
    assert draft.provenance["bars"] == sum(line.startswith("[r:") for line in whole) > 0


def test_no_more_time_is_taken_than_asked_for():
    (draft,), stopped = drafts(max_minutes=1e-6)
    assert (draft.ended, draft.provenance["max_minutes"], stopped) == ("time", 1e-6, False)


def test_ctrl_c_leaves_the_unfinished_piece_as_far_as_it_came(monkeypatch):
    def stop(progress):
        if progress.done == 1 and progress.pieces and next(iter(progress.pieces.values()))[0] >= 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(module, "_show", stop)
    found, stopped = drafts(count=3)
    assert stopped
    assert [draft.ended for draft in found] == ["finished", "stopped"]
    assert found[1].text.count("[V:1]") == 2


def test_ctrl_c_before_the_first_bar_leaves_no_piece(monkeypatch):
    def stop(progress):
        raise KeyboardInterrupt

    monkeypatch.setattr(module, "_show", stop)
    assert list(drafts()[0]) == []


def test_what_the_engine_remarks_stands_in_the_provenance():
    style = "Romantic/Chopin, Frederic/Keyboard"
    (draft,), _ = drafts(style=style, allow_untrained=True, max_patches=2)
    (remark,) = draft.provenance["notes"]
    assert "not trained on" in remark


def test_weights_that_name_no_styles_leave_open_whether_they_know_one(tmp_path):
    path = random_weights(tmp_path / "w.safetensors", ModelShape(64, 1, 1, 64))
    (draft,), _ = drafts(weights=str(path), max_patches=2, threads=1)
    assert draft.provenance["trained_style"] is None
    assert draft.provenance["threads"] == 1


def test_off_a_terminal_a_line_is_printed_now_and_then(capsys):
    minutes(every=3600)("writing", 0, 2, "3 bars")
    assert capsys.readouterr().err == ""
    minutes(every=0)("writing", 1, 2, "3 bars, about 2 h 5 min left")
    assert capsys.readouterr().err == "writing: 1 of 2, 3 bars, about 2 h 5 min left\n"
