"""Drafts: how one is chosen, what is written down of it, and a run that was killed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from scoregate.archive.production import ProductionRun, report_of
from scoregate.archive.records import PieceRow, RunRecord
from scoregate.archive.resuming import open_run
from scoregate.archive.trend import kind_of
from scoregate.errors import RequestError
from scoregate.flows import notes, shards
from scoregate.generation.drafts import assess, assessed, broken_rules, choose, rank
from scoregate.generation.writing import origin_of
from scoregate.generator import Generation
from scoregate.piece import Piece
from scoregate.requests import PlanRequest, ProduceOptions, ProduceRequest, checked
from scoregate.seeds import seeds_of_drafts, seeds_of_round
from scoregate.tasks.drafts import Drafts

CHORAL = "Baroque/Bach, Johann Sebastian/Choral"
CHORALE = (Path(__file__).parent / "pieces" / "chorale.abc").read_text()
ENGINE = {"generator": "notagen", "weights": {"name": "w", "sha256": "0" * 64}, "engine": "3"}
GOOD: dict[str, Any] = {
    "passes": True, "reasons": [], "broken": [], "score": 1.0, "unscored": "", "warnings": 0,
    "processor_seconds": 0.5,
}  # fmt: skip


def draft(seed: int = 1, **found) -> Generation:
    text = f"%Baroque\nL:1/8\nK:C\nV:1\n[r:0/0][V:1]C{seed}|]\n"
    return Generation(text, "finished", seed, 9, 1, characters_drawn=100, draft={**GOOD, **found})


@pytest.mark.parametrize(
    ("better", "worse", "decided"),
    [
        ({"score": -3.0}, {"passes": False, "score": 3.0}, "gates"),
        ({"score": -3.0}, {"broken": ["parallels"], "score": 3.0}, "rules"),
        ({"score": 2.0, "warnings": 5}, {"score": 1.0}, "critic"),
        ({"score": -9.0}, {"score": None, "unscored": "why"}, "critic"),
        ({"score": None}, {"score": None, "warnings": 1}, "warnings"),
        ({}, {}, "order"),
    ],
)
def test_the_first_question_that_is_answered_differently_decides(better, worse, decided):
    found = choose({0: draft(1, **better), 1: draft(2, **worse)}, CHORAL)
    assert (found.seed, found.choice["chosen"], found.choice["decided_by"]) == (1, 1, decided)
    if decided != "order":
        assert choose({0: draft(2, **worse), 1: draft(1, **better)}, CHORAL).seed == 1


def test_the_choice_says_how_many_were_drawn_their_scores_and_the_cost():
    drafts = {0: draft(4, score=0.5), 1: draft(5, score=2.0), 2: draft(6, passes=False)}
    choice = choose(drafts, CHORAL).choice
    assert choice is not None
    assert (choice["chosen"], choice["drawn"], choice["passing"]) == (2, 3, 2)
    assert (choice["score"], choice["scores"]) == (2.0, [0.5, 2.0, 1.0])
    assert (choice["characters_drawn"], choice["steps"]) == (300, 27)
    assert choice["processor_seconds"] == 1.5
    assert choice["critic"]["name"] == "bach-chorales"
    assert [each["seed"] for each in choice["drafts"]] == [4, 5, 6]


def test_rank_orders_by_every_question():
    assert rank(0, GOOD) < rank(1, GOOD)
    assert rank(0, GOOD | {"warnings": 1}) > rank(1, GOOD)


def test_a_draft_is_assessed_by_gates_rules_and_critic():
    found = assess(Generation(CHORALE, "finished", 1, 9, 1), CHORAL).draft
    assert found is not None
    assert found["score"] is not None
    assert found["broken"] == broken_rules(CHORALE, CHORAL)
    cut = assess(Generation(CHORALE, "length", 1, 9, 1), CHORAL).draft
    assert cut is not None
    assert not cut["passes"]


def test_drafts_share_the_time_that_they_took_and_stopped_ones_are_left():
    request = checked(ProduceRequest, quality="best")
    whole, cut = (Generation(CHORALE, ended, 1, 9, 1) for ended in ("finished", "stopped"))
    found = assessed(request, [whole, cut], 8.0)
    assert found[0].draft is not None
    assert 4 <= found[0].draft["processor_seconds"] < 8
    assert found[1] == cut


def test_parallels_break_a_rule_of_a_choir_alone():
    fifths = "L:1/8\nM:4/4\nK:C\nV:1\nV:2\nV:3\nV:4\n[V:1]g4a4|][V:2]c4d4|][V:3]E8|][V:4]C8|]\n"
    assert broken_rules(fifths, CHORAL) == ["parallels"]
    assert broken_rules(fifths, "Romantic/Chopin, Frederic/Keyboard") == []


def test_a_bar_off_the_metre_breaks_a_rule_of_a_tune():
    tune = "L:1/8\nM:4/4\nK:C\nV:1\n[V:1]c8|\n[V:1]c{}|\n[V:1]c8|\n[V:1]c8|]\n"
    assert broken_rules(tune.format(8), "Folk/Trad/Fiddle") == []
    assert broken_rules(tune.format(6), "Folk/Trad/Fiddle") == ["bars off the metre"]


def test_one_draft_is_the_piece_itself_and_fewer_are_the_first_of_more():
    assert seeds_of_drafts(7, 1) == [7]
    assert seeds_of_drafts(7, 8)[:4] == seeds_of_drafts(7, 4)
    every = [s for seed in seeds_of_round(1, 1, 50) for s in seeds_of_drafts(seed, 8)]
    assert len(set(every)) == len(every)


# Requests


def test_a_normal_request_has_the_key_and_the_provenance_of_former_versions():
    request = checked(ProduceRequest, seed=1)
    former = "d936f44783ec053d175438ef92234604d18479ba951ce46cbca5ecda093ed63e"
    assert checked(ProduceRequest).key == former
    assert not {"quality", "drafts", "critic"} & set(origin_of(request, ENGINE))
    assert not {"draft", "choice"} & set(Generation("", "finished", 1, 1, 1).as_dict())


def test_the_best_of_another_number_is_another_request():
    best = checked(ProduceRequest, quality="best")
    assert best.drafts == 4
    assert best.key == checked(ProduceRequest, quality="best", drafts=4).key
    keys = {best.key, checked(ProduceRequest, quality="best", drafts=3).key}
    assert len(keys | {checked(ProduceRequest).key}) == 3
    assert ProduceRequest.model_validate_json(best.model_dump_json()) == best


def test_drafts_without_a_choice_are_refused():
    with pytest.raises(RequestError, match="quality best"):
        checked(ProduceRequest, drafts=3)
    with pytest.raises(RequestError, match="quality best"):
        checked(ProduceOptions, drafts=3)


def test_the_rows_of_a_plan_take_the_quality_beside_it():
    options = checked(ProduceOptions, plan="tonight.csv", quality="best", drafts=3)
    assert isinstance(options.plan_request(), PlanRequest)
    assert options.plan_request().defaults == {"quality": "best", "drafts": 3}


def test_origin_names_the_critic_or_says_that_there_is_none():
    best = checked(ProduceRequest, seed=1, quality="best")
    assert origin_of(best, ENGINE)["critic"]["name"] == "bach-chorales"
    other = best.model_copy(update={"style": "Romantic/Chopin, Frederic/Keyboard"})
    assert origin_of(other, ENGINE)["critic"] is None


def test_runs_with_a_choice_are_not_compared_with_others():
    kinds = [
        kind_of({"style": "s", **more})
        for more in (
            {}, {"quality": "normal", "drafts": None}, {"quality": "best", "drafts": 4},
            {"quality": "best", "drafts": 8},
        )
    ]  # fmt: skip
    assert kinds[0] == kinds[1]
    assert len(set(kinds)) == 3


# Runs


def test_a_normal_run_hands_out_the_pieces_of_former_versions(tmp_path):
    """Keys are the indexes, seeds those of the round, and the journal's line has nothing new."""
    run = open_run(ProduceRequest(count=2, seed=1, out=str(tmp_path)), ENGINE)
    work = next(run.rounds())
    assert work.undrawn([0, 1], 1) == list(enumerate(seeds_of_round(1, 1, 2)))
    run.record_generated([(0, Generation("X:1", "finished", work.seeds[0], 9, 1))])
    assert work.undrawn([0, 1], 1) == [(1, work.seeds[1])]
    assert set(work.generated[0]) == {
        "raw", "ended", "seed", "steps", "bars", "resampled_lines", "refused_lines", "steps_back",
        "characters_drawn", "characters_kept", "context_cuts", "seconds", "notes",
    }  # fmt: skip
    run.lock.release()


def begun(tmp_path):
    request = ProduceRequest(count=2, seed=1, out=str(tmp_path), quality="best", drafts=2)
    run = open_run(request, ENGINE)
    if run.work is None:
        next(run.rounds())
    return run


def test_no_finished_draft_is_drawn_again_after_a_kill(tmp_path):
    run = begun(tmp_path)
    keys = run.work.undrawn([0, 1], 2)
    assert [key for key, _ in keys] == [0, 1, 2, 3]
    assert keys[0][1] == run.work.seeds[0]
    Drafts(run).record([(1, draft(keys[1][1], score=2.0)), (2, draft(keys[2][1]))])
    run.journal.close()
    run.lock.release()  # as a kill leaves it

    again = begun(tmp_path)
    assert again.record.run_id == run.record.run_id
    assert again.work.undrawn([0, 1], 2) == [keys[0], keys[3]]
    drafts = Drafts(again)
    drafts.record([(0, draft(keys[0][1], score=1.0))])
    assert list(again.work.generated) == [0]
    piece = again.work.piece(0, CHORAL, {})
    assert piece.seed == keys[1][1]
    assert piece.provenance["choice"]["scores"] == [1.0, 2.0]
    assert again.work.undrawn([0, 1], 2) == [keys[3]]
    again.lock.release()


def test_drafts_that_were_all_there_at_a_kill_are_chosen_among_when_the_run_goes_on(tmp_path):
    run = begun(tmp_path)
    run.record_drafts([(0, 0, draft(1)), (0, 1, draft(2, score=5.0))])
    run.journal.close()
    run.lock.release()
    again = begun(tmp_path)
    assert not again.work.generated
    Drafts(again)
    assert again.work.piece(0, CHORAL, {}).seed == 2
    assert not again.work.drafts
    again.lock.release()


def test_a_stop_chooses_among_the_drafts_there_are(tmp_path):
    run = begun(tmp_path)
    drafts = Drafts(run)
    drafts.record([(1, draft(8))])
    stopped = [(key, Generation("", "stopped", key, 1, 1)) for key in (0, 3, 2)]
    assert [(index, each.seed) for index, each in drafts.settle(stopped)] == [(1, 2)]
    choice = run.work.piece(0, CHORAL, {}).generation.choice
    assert (choice["drawn"], choice["decided_by"]) == (1, "only one")
    run.lock.release()


def test_report_and_record_of_the_run_say_how_it_was_chosen():
    chosen = choose({0: draft(1, score=1.0), 1: draft(2, score=3.0)}, CHORAL)
    report = report_of(Piece(CHORAL, 1, chosen), "run")
    assert report.provenance["choice"]["drafts"][1]["score"] == 3.0
    summary = {k: v for k, v in chosen.choice.items() if k != "drafts"}
    row = PieceRow(piece_id="1", status="passed", choice=summary)
    record = RunRecord(run_id="r", request={"style": CHORAL}, pieces=[row, row])
    first, second = notes.chosen(RunRecord.model_validate_json(record.as_json()))
    assert "2 pieces were chosen among 4 drafts" in first
    assert "4 (100%) would pass the gates" in first
    assert "2 s of processor time, 1.0 s a piece" in first
    assert "+3.00 in the mean, all drafts +2.00" in second
    record.engine = {"weights": {"name": "mine", "sha256": "0" * 64}}
    assert "learned against other weights (chorales" in notes.chosen(record)[2]


def test_joined_shards_say_once_how_their_pieces_were_chosen(tmp_path):
    def part(number: int) -> RunRecord:
        chosen = choose({0: draft(number), 1: draft(number + 10)}, CHORAL).choice
        rows = [PieceRow(piece_id=str(number), status="passed", choice=chosen)]
        made = RunRecord(run_id=f"r{number}", request={"style": CHORAL}, pieces=rows)
        made.notes = [*notes.chosen(made), "something else"]
        return made

    request = ProduceRequest(count=2, seed=1, out=str(tmp_path), quality="best", drafts=2)
    run = ProductionRun(request, {})
    shards._join(run, [part(1), part(2)])
    assert run.record.notes == ["something else"]
    assert "2 pieces were chosen among 4 drafts" in notes.chosen(run.record)[0]


def test_a_run_says_where_nothing_told_its_drafts_apart():
    chosen = choose({0: draft(1, score=None), 1: draft(2, score=None)}, "Folk/Trad/Fiddle")
    row = PieceRow(piece_id="1", status="passed", choice=chosen.choice)
    record = RunRecord(run_id="r", request={"style": "Folk/Trad/Fiddle"}, pieces=[row])
    assert notes.chosen(record)[1].startswith("1 pieces had drafts that nothing told apart")
    assert notes.chosen(RunRecord(run_id="r")) == []
