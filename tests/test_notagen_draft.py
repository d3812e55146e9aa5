"""A piece being written, with a script in the model's place."""

from __future__ import annotations

from dataclasses import replace
from random import Random

import pytest
from notagen_models import (
    HEADER,
    PROMPT,
    bar,
    begin_body,
    finish_piece,
    padded,
    say,
    say_patches,
)

from scoregate.abc.finish import finish
from scoregate.generator import Limits
from scoregate.notagen.draft import Draft, Rules
from scoregate.notagen.text.forced import read_forced_text
from scoregate.notagen.text.patches import END, EOS_PATCH, PAD, decode, encode, encode_open


def started(rules=None, **more):
    """Return a draft whose header has been written."""
    draft = Draft(PROMPT, 1, rules or Rules(1024), **more)
    say(draft, "%end\n" + HEADER)
    return draft


def context(draft):
    return decode(draft.patches) + "".join(map(chr, draft.start))


def test_prompt_is_read_before_the_first_draw():
    draft = Draft(PROMPT, 1, Rules(1024))
    assert draft.patches == encode(PROMPT)
    assert draft.cached == 0
    assert len(draft.uniforms()) == 16


def test_first_counter_is_drawn_again_behind_zero():
    draft = started()
    say_patches(draft, [tuple(b"[r:7/9][V:1]C2 D")])
    assert draft.start == tuple(b"[r:0/")
    assert len(draft.uniforms()) == 11
    assert draft.raw == PROMPT + "%end\n" + HEADER
    say(draft, bar(0, 9))
    assert draft.raw == PROMPT + "%end\n" + HEADER + bar(0, 9)
    assert (draft.bars, draft.total_bars) == (1, 10)


def test_later_counters_are_the_models_own():
    draft = started()
    begin_body(draft, bar(0, 9))
    say(draft, bar(5, 2))
    assert draft.raw.endswith(bar(5, 2))
    assert draft.start == ()


def test_body_without_counters_begins_at_its_first_voice():
    draft = started()
    say(draft, "[V:1]C8|[V:2]C,8|\n")
    assert draft.start == ()
    assert draft.body == "[V:1]C8|[V:2]C,8|\n"
    assert draft.bars == 1


def test_piece_ends_with_the_end_patch_alone():
    draft = started()
    begin_body(draft, bar(0, 0))
    assert draft.ended is None
    finish_piece(draft)
    assert draft.ended == "finished"
    assert draft.raw.endswith(bar(0, 0))


def test_patch_that_only_starts_like_the_end_goes_on():
    draft = started()
    say_patches(draft, [(1, 3, *EOS_PATCH[2:])])
    assert draft.ended is None


def test_most_patches_are_counted_as_drawn():
    draft = Draft(PROMPT, 1, Rules(1024, Limits(max_steps=3)))
    say(draft, "%end\n" + HEADER)
    assert (draft.ended, draft.sampled) == ("length", 3)


def test_most_characters_end_a_piece():
    draft = started()
    begin_body(draft, bar(0, 9))
    draft.body += "C" * 102_400 + "\n"
    say(draft, bar(1, 8))
    assert draft.ended == "length"


def test_refused_line_is_forgotten_and_its_counter_kept():
    judged = []

    def accept(before, line):
        judged.append((before, line))
        return "G" not in line.split("|")[0]

    draft = started(Rules(1024, accept_line=accept))
    begin_body(draft, bar(0, 9))
    kept = draft.raw
    say(draft, bar(1, 8, "G8"))
    assert draft.raw == kept
    assert decode(draft.patches) == kept
    assert draft.start == tuple(b"[r:1/8]")
    assert draft.resampled_lines == 1
    say(draft, bar(1, 8, "C8"))
    assert draft.raw == kept + bar(1, 8, "C8")
    assert judged[1] == (kept, bar(1, 8, "G8").rstrip("\n"))


def test_refused_first_line_may_name_another_total():
    draft = started(Rules(1024, accept_line=lambda _, line: "/9]" not in line))
    begin_body(draft, bar(0, 9))
    assert draft.start == tuple(b"[r:0/")
    say(draft, bar(0, 4))
    assert draft.total_bars == 5


def refuse_after_tie(text_so_far, line):
    """Refuse a line whose predecessor ties a note over, as one does where no note can follow."""
    return "-|" not in text_so_far.splitlines()[-1]


def test_line_before_is_taken_back_where_its_tie_makes_every_line_wrong():
    draft = started(Rules(1024, Limits(line_tries=4), refuse_after_tie))
    begin_body(draft, bar(0, 9))
    first = draft.raw
    say(draft, bar(1, 8, "C8-"))
    for _ in range(2):
        say(draft, bar(2, 7, "G8"))
    assert draft.raw == first
    assert decode(draft.patches) == first
    assert draft.start == tuple(b"[r:1/8]")
    assert (draft.bars, draft.resampled_lines) == (1, 3)
    say(draft, bar(1, 8, "D8"))
    say(draft, bar(2, 7, "G8"))
    assert draft.raw == first + bar(1, 8, "D8") + bar(2, 7, "G8")
    assert draft.bars == 3


def test_a_line_is_taken_back_for_its_tie_once_only():
    draft = started(Rules(1024, Limits(line_tries=2, steps_back=1), refuse_after_tie))
    begin_body(draft, bar(0, 9))
    for _ in range(2):
        say(draft, bar(1, 8, "C8-"))
        say(draft, bar(2, 7, "G8"))
    # Now the line after it has its two tries, and stays where both are refused.
    say(draft, bar(2, 7, "G8"))
    say(draft, bar(2, 7, "G8"))
    assert draft.bars == 3
    assert draft.refused_lines == 1
    assert draft.retries.steps_back == 1


def refuse_after_d(text_so_far, line):
    """Refuse every line after one that begins with D: the fault lies in the line before."""
    return "[V:1]D8" not in text_so_far.splitlines()[-1]


def test_where_all_tries_are_used_up_the_line_before_is_resampled():
    draft = started(Rules(1024, Limits(line_tries=2), refuse_after_d))
    begin_body(draft, bar(0, 9))
    first = draft.raw
    say(draft, bar(1, 8, "D8"))
    for _ in range(3):
        assert draft.bars == 2
        say(draft, bar(2, 7, "G8"))
    assert draft.raw == first
    assert decode(draft.patches) == first
    assert draft.start == tuple(b"[r:1/8]")
    assert (draft.bars, draft.resampled_lines, draft.retries.steps_back) == (1, 4, 1)
    say(draft, bar(1, 8, "E8"))
    say(draft, bar(2, 7, "G8"))
    assert draft.raw == first + bar(1, 8, "E8") + bar(2, 7, "G8")
    assert draft.refused_lines == 0


def test_one_line_more_is_removed_each_time_the_same_line_fails():
    draft = started(Rules(1024, Limits(line_tries=1), lambda _, line: not line.startswith("[r:3")))
    begin_body(draft, bar(0, 9))
    removed = []
    for _ in range(3):
        for number in range(draft.bars, 3):
            say(draft, bar(number, 9 - number))
        say(draft, bar(3, 6))
        say(draft, bar(3, 6))
        removed.append(3 - draft.bars)
    assert removed == [1, 2, 3]
    assert draft.raw.endswith(HEADER)
    assert draft.start == tuple(b"[r:0/")


def test_steps_back_are_bounded():
    draft = started(Rules(1024, Limits(line_tries=2, steps_back=3), lambda _, line: "[r:0" in line))
    begin_body(draft, bar(0, 9))
    said = 0
    while draft.ended is None and said < 100:
        say(draft, bar(draft.bars, 9 - draft.bars))
        said += 1
    assert draft.ended == "finished"
    assert draft.retries.steps_back == 3
    assert draft.refused_lines == 9
    assert said < 60
    plain = started(Rules(1024, Limits(line_tries=2, steps_back=0), lambda _, line: "[r:0" in line))
    begin_body(plain, bar(0, 1))
    for _ in range(3):
        say(plain, bar(1, 0))
    assert (plain.retries.steps_back, plain.refused_lines, plain.ended) == (0, 1, "finished")


def test_lines_before_a_cut_are_not_removed():
    draft = started(Rules(40, Limits(line_tries=1), lambda _, line: "G8" not in line))
    begin_body(draft, bar(0, 99))
    number = 1
    while not draft.cuts:
        say(draft, bar(number, 99 - number))
        number += 1
    # The line in which the context was cut begins behind the cut, and can be removed.
    refused = bar(number - 1, 100 - number, "G8")
    kept = draft.body[: -len(bar(number - 1, 100 - number))]
    for _ in range(2):
        say(draft, bar(number, 99 - number, "G8"))
    assert draft.body == kept
    for _ in range(2):
        say(draft, refused)
    assert draft.body == kept + refused
    assert draft.refused_lines == 1


def accept_all(text_so_far, line):
    return True


def test_a_judged_piece_ends_with_the_line_that_is_counted_as_the_last():
    draft = started(Rules(1024, accept_line=accept_all))
    begin_body(draft, bar(0, 1))
    assert draft.ended is None
    say(draft, bar(1, 0))
    assert draft.ended == "finished"
    assert draft.raw.endswith(bar(1, 0))


def test_an_end_before_the_last_line_is_sampled_again_where_lines_are_judged():
    draft = started(Rules(1024, accept_line=accept_all))
    begin_body(draft, bar(0, 2))
    kept = draft.raw
    finish_piece(draft)
    assert draft.ended is None
    assert draft.raw == kept
    assert draft.start == tuple(b"[r:1/1]")
    assert draft.resampled_lines == 1
    say(draft, bar(1, 1))
    say(draft, bar(2, 0))
    assert draft.ended == "finished"
    raw = started(Rules(1024))
    begin_body(raw, bar(0, 2))
    finish_piece(raw)
    assert raw.ended == "finished"


def test_an_end_within_a_line_is_judged_with_it():
    draft = started(Rules(1024, accept_line=lambda _, line: line.endswith("|")))
    begin_body(draft, bar(0, 1))
    kept = draft.raw
    say(draft, "[r:1/0][V:1]C8|[V:2]C,4", closed=True)
    finish_piece(draft)
    assert (draft.ended, draft.raw) == (None, kept)
    say(draft, "[r:1/0][V:1]C8|[V:2]C,8|")
    finish_piece(draft)
    assert draft.ended == "finished"
    assert draft.raw == kept + "[r:1/0][V:1]C8|[V:2]C,8|"


def test_a_piece_that_always_ends_too_early_ends():
    draft = started(Rules(1024, Limits(line_tries=2, steps_back=2), accept_all))
    begin_body(draft, bar(0, 9))
    said = 0
    while draft.ended is None and said < 100:
        # Behind a forced counter the model can't end at once.
        say_patches(draft, [padded("".join(map(chr, draft.start)))] if draft.start else [EOS_PATCH])
        said += 1
    assert draft.ended == "finished"


class RefusesParts:
    """Refuses every line with G8 as soon as it is there."""

    def __call__(self, text_so_far, line):
        return "G8" not in line

    def accept_part(self, text_so_far, part):
        return "G8" not in part


def test_a_line_is_resampled_as_soon_as_a_part_of_it_is_refused():
    first = len(encode("[r:1/8][V:1]G8")) - 1
    draft = started(Rules(1024, accept_line=RefusesParts()))
    begin_body(draft, bar(0, 9))
    kept = draft.raw
    say_patches(draft, encode(bar(1, 8, "G8"))[1 : 1 + first])
    assert draft.raw == kept
    assert decode(draft.patches) == kept
    assert draft.start == tuple(b"[r:1/8]")
    assert (draft.resampled_lines, draft.refused_lines) == (1, 0)
    say(draft, bar(1, 8, "C8"))
    assert draft.raw == kept + bar(1, 8, "C8")


def test_a_part_that_is_refused_too_often_goes_on_to_the_lines_end():
    draft = started(Rules(1024, Limits(line_tries=0), RefusesParts()))
    begin_body(draft, bar(0, 9))
    say(draft, bar(1, 8, "G8"))
    assert (draft.bars, draft.refused_lines, draft.resampled_lines) == (2, 1, 0)


def test_characters_drawn_and_kept():
    draft = started(Rules(1024, accept_line=lambda _, line: "G8" not in line))
    header = len("%end\n" + HEADER)
    assert (draft.drawn, draft.kept) == (header, header)
    begin_body(draft, bar(0, 9))
    # The first patch of a body is sampled again behind "[r:0/", which is given.
    first = draft.kept
    assert first == header + len(bar(0, 9)) - len("[r:0/")
    assert draft.drawn == first + 16
    say(draft, bar(1, 8, "G8"))
    assert draft.kept == first
    assert draft.drawn == first + 16 + len(bar(1, 8, "G8"))
    say(draft, bar(1, 8, "C8"))
    assert draft.kept == first + len(bar(1, 8, "C8")) - len("[r:1/8]")


def test_a_forced_bar_is_not_taken_back():
    opening = read_forced_text(HEADER + "[V:1]C8-|[V:2]C,8|\n", prompted=True)
    draft = Draft(PROMPT, 1, Rules(1024, Limits(line_tries=2), refuse_after_tie), opening)
    begin_body(draft, bar(0, 5))
    assert draft.forced_bars == 1
    before = draft.raw
    say(draft, bar(1, 4, "G8"))
    assert draft.raw == before
    assert draft.bars == 1


def test_line_that_is_refused_too_often_is_kept():
    draft = started(Rules(1024, Limits(line_tries=2), lambda *_: False))
    begin_body(draft, bar(0, 9))
    assert (draft.resampled_lines, draft.refused_lines, draft.bars) == (1, 0, 0)
    say(draft, bar(0, 9))
    say(draft, bar(0, 9))
    assert (draft.resampled_lines, draft.refused_lines, draft.bars) == (2, 1, 1)


def test_full_context_keeps_header_and_the_newer_half():
    draft = started(Rules(40))
    head = PROMPT + "%end\n" + HEADER
    begin_body(draft, bar(0, 9))
    number = 1
    while not draft.cuts:
        say(draft, bar(number, 9 - number))
        number += 1
    bars = draft.body.splitlines(keepends=True)
    expected, _ = encode_open(head, "".join(bars[-(len(bars) // 2) :]))
    assert draft.patches[: len(expected)] == expected
    assert draft.raw == head + "".join(bar(i, 9 - i) for i in range(number))


def test_context_overflows_again_and_again_without_losing_text():
    draft = started(Rules(40))
    begin_body(draft, bar(0, 99))
    for number in range(1, 60):
        say(draft, bar(number, 99 - number))
        assert len(draft.patches) < 40
        assert context(draft).endswith(bar(number, 99 - number))
    assert draft.cuts > 5
    assert draft.body == "".join(bar(i, 99 - i) for i in range(60))
    assert draft.cached == len(draft.patches)


def cut_at(draft, text):
    """Fill a draft's context so that the cut falls behind exactly this text."""
    say_patches(draft, encode_open("", text)[0][1:])
    start = encode_open("", text)[1]
    draft.rules = replace(draft.rules, context=len(draft.patches) + 1)
    say_patches(draft, [padded("".join(map(chr, start)))])
    assert draft.cuts == 1


def close_line(draft):
    """Finish the patch that the cut has left open with the line's end."""
    say_patches(draft, [padded("".join(map(chr, draft.start)) + "\n")])


def test_cut_on_a_barline_keeps_the_newest_line():
    draft = started()
    begin_body(draft, bar(0, 9))
    for number in range(1, 4):
        say(draft, bar(number, 9 - number))
    cut_at(draft, "[r:4/5][V:1]C8|[V:2]G,,8|")
    assert context(draft).endswith("[r:4/5][V:1]C8|[V:2]G,,8|")
    close_line(draft)
    assert draft.body.endswith("[r:4/5][V:1]C8|[V:2]G,,8|\n")


def test_cut_context_is_no_longer_than_the_model_sees():
    # The newer half of the lines is much longer than the older one.
    draft = started(Rules(60))
    begin_body(draft, "[r:0/9][V:1]C8|\n")
    for number in range(1, 4):
        say(draft, f"[r:{number}/9][V:1]C8|\n")
    say(draft, "[r:4/9][V:1]" + "C" * 160 + "|\n")
    say(draft, "[r:5/9][V:1]" + "D" * 400 + "|\n")
    say(draft, "[r:6/9][V:1]" + "E" * 200 + "|\n")
    assert draft.cuts
    assert len(draft.patches) < 60
    assert context(draft).endswith("E|\n")


def test_line_longer_than_the_context_keeps_its_newest_bars():
    draft = started(Rules(60))
    begin_body(draft, "[r:0/9][V:1]C8")
    for number in range(2, 90):
        say(draft, f"|[V:{number}]C,8")
    assert draft.ended is None
    assert draft.cuts
    assert context(draft).endswith("|[V:89]C,8")


def test_context_full_of_header_has_failed():
    draft = Draft(PROMPT, 1, Rules(20))
    for _ in range(40):
        say(draft, "T:more\n")
    assert draft.ended == "failed"


def test_prompt_that_fills_the_context_has_failed():
    assert Draft("%a\n" * 30, 1, Rules(20)).ended == "failed"


def test_line_refused_after_a_cut_is_still_forgotten():
    draft = started(Rules(40, accept_line=lambda _, line: "G8" not in line))
    begin_body(draft, bar(0, 99))
    number = 1
    while not draft.cuts:
        say(draft, bar(number, 99 - number))
        number += 1
    kept = draft.body
    say(draft, bar(number, 99 - number, "G8"))
    assert draft.body == kept
    assert draft.start == tuple(f"[r:{number}/{99 - number}]".encode())
    say(draft, bar(number, 99 - number, "C8"))
    assert draft.body == kept + bar(number, 99 - number, "C8")


def test_cut_inside_a_refused_line_rewinds_to_its_beginning():
    refused = "[r:4/5][V:1]G8|[V:2]G,,4 C,4|"
    draft = started(Rules(1024, accept_line=lambda _, line: "G8" not in line))
    begin_body(draft, bar(0, 9))
    for number in range(1, 4):
        say(draft, bar(number, 9 - number))
    kept = draft.body
    cut_at(draft, refused)
    close_line(draft)
    assert draft.body == kept
    assert draft.start == tuple(b"[r:4/5]")
    assert context(draft).endswith(bar(3, 6) + "[r:4/5]")


def test_forced_field_takes_the_place_of_the_models_own():
    draft = Draft(PROMPT, 1, Rules(1024), read_forced_text("M:3/4\nK:Dm\n", prompted=True))
    say(draft, "%end\n" + HEADER)
    assert draft.head == PROMPT + "%end\n" + HEADER.replace("4/4", "3/4").replace("K:C", "K:Dm")
    assert draft.patches == encode(draft.head)


def test_forced_field_that_the_model_leaves_out_is_put_where_it_belongs():
    draft = Draft(PROMPT, 1, Rules(1024), read_forced_text("Q:1/4=90\n", prompted=True))
    say(draft, "%end\n" + HEADER)
    assert draft.head == PROMPT + "%end\n" + HEADER.replace("L:1/8\n", "L:1/8\nQ:1/4=90\n")


def test_forced_field_takes_the_place_of_its_own_kind_alone():
    """T: and I: both stand between M: and K:, and neither replaces the other."""
    draft = Draft(PROMPT, 1, Rules(1024), read_forced_text("T:Forced\n", prompted=True))
    say(draft, "%end\n" + HEADER.replace("K:C\n", "I:linebreak $\nT:Own\nK:C\n"))
    assert "M:4/4\nI:linebreak $\nT:Forced\nK:C\n" in draft.head


def test_voice_of_an_absurd_number_does_no_harm():
    draft = Draft(PROMPT, 1, Rules(4096), read_forced_text("K:D\n", prompted=True))
    say(draft, "%end\nV:" + "7" * 6000 + "\n")
    assert draft.ended is None
    assert draft.head.startswith(PROMPT + "%end\nK:D\nV:777")


def test_forced_voice_is_written_before_the_body():
    opening = read_forced_text('V:2 bass nm="Cello"\nV:3 bass\n', prompted=True)
    draft = Draft(PROMPT, 1, Rules(1024), opening)
    say(draft, "%end\n" + HEADER)
    begin_body(draft, bar(0, 9))
    assert draft.head.endswith('V:1 treble\nV:2 bass nm="Cello"\nV:3 bass\n')
    assert draft.body == bar(0, 9)


def test_forced_bars_count_towards_the_total_that_the_model_names():
    text = HEADER + "[V:1]C8|[V:2]C,8|\n[V:1]D8|[V:2]D,8|\n"
    draft = Draft(PROMPT, 1, Rules(1024), read_forced_text(text, prompted=True))
    assert draft.raw == PROMPT + "%end\n" + HEADER
    assert draft.start == tuple(b"[r:0/")
    say(draft, "[r:0/23][V:1]G8")
    assert draft.body == "[r:0/23][V:1]C8|[V:2]C,8|\n[r:1/22][V:1]D8|[V:2]D,8|\n"
    assert (draft.bars, draft.total_bars) == (2, 24)


def test_forced_bars_leave_out_what_only_rests():
    text = HEADER + "[V:1]C8|[V:2]z8|\n[r:1/3][V:1]x8|[V:2]D,8|\n"
    assert read_forced_text(text, prompted=True).bars == ("[V:1]C8|\n", "[r:1/3][V:2]D,8|\n")


def test_forced_bars_with_counters_are_taken_as_they_stand():
    text = HEADER + bar(0, 5) + bar(1, 4)
    draft = Draft(PROMPT, 1, Rules(1024), read_forced_text(text, prompted=True))
    assert draft.raw == PROMPT + "%end\n" + text
    assert draft.patches == encode(draft.raw)


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("hello\n", "not a header field"),
        ("[V:1]C8|\n", "no key"),
        ("K:C\nV:1\n[r:0/1]C8|\n", "body line"),
    ],
)
def test_wrong_forced_text_is_refused(text, what):
    from scoregate.errors import RequestError

    with pytest.raises(RequestError, match=what):
        read_forced_text(text, prompted=True)


SCRAPS = [
    "[r:0/5]", "[r:", "[V:1]", "[V:2]", "|", "|\n", "\n", "\n\n", "C8", "c2 d2 ", "K:C\n",
    "M:4/4\n", "V:1 treble\n", "%end\n", "%%score 1 2\n", "[r:3/2]", "|]\n", '"a|b"', "\x03",
    "L:1/8\n",
]  # fmt: skip
OPENINGS = [
    None, "M:3/4\nK:D\n", "V:2 bass\n", HEADER, HEADER + "[V:1]C8|[V:2]C,8|\n" * 2,
    HEADER + bar(0, 7) + bar(1, 6),
]  # fmt: skip
ACCEPTS = [None, lambda *_: False, lambda _, line: len(line) % 3 > 0]


def nonsense(random, start):
    """Return a patch as a broken model draws it."""
    room = 16 - len(start)
    if random.random() < 0.05:
        return EOS_PATCH if not start else start + (1,) * room
    if random.random() < 0.1:
        return start + tuple(random.randrange(128) for _ in range(room))
    codes = tuple(map(ord, "".join(random.choices(SCRAPS, k=random.randrange(1, 4)))))[:room]
    return start + codes + (END,) * (len(codes) < room) + (PAD,) * (room - len(codes) - 1)


@pytest.mark.parametrize("number", range(150))
def test_nonsense_never_parts_the_context_from_the_text(number):
    """Cuts, refusals and forced text in any order: what the model sees is the text's end."""
    random = Random(number)
    rules = Rules(
        random.choice([14, 18, 24, 40, 64]),
        Limits(max_steps=150, line_tries=2),
        random.choice(ACCEPTS),
    )
    opening = read_forced_text(random.choice(OPENINGS), prompted=True)
    draft = Draft(random.choice(["", PROMPT]), number, rules, opening)
    while draft.ended is None:
        seen = list(draft.patches)
        draft.mark_cached()
        draft.advance(nonsense(random, draft.start))
        assert draft.patches[: draft.cached] == seen[: draft.cached]
        assert 0 <= draft.kept <= min(draft.drawn, len(draft.raw))
        if draft.ended is None:
            assert len(draft.patches) < rules.context
            given = "" if draft._start_is_new else "".join(map(chr, draft.start))
            shown = draft.head + draft.body[draft._context_from :]
            # Empty lines are text and no patch.
            assert (decode(draft.patches) + given).replace("\n", "") == shown.replace("\n", "")
    finished = finish(draft.raw, whole=draft.ended == "finished").text
    # Text that the reader refuses keeps everything but its line ends.
    assert finished.startswith("X:1\n") or draft.raw.replace("\r", "\n").startswith(finished)


def test_a_line_that_never_ends_is_resampled():
    """A bass that repeats its octave mark; without a judge nothing is resampled."""
    judged = started(Rules(1024, accept_line=lambda before, line: True))
    begin_body(judged, bar(0, 9))
    say_patches(judged, [tuple(b"[r:1/8][V:1]C,,,")] + [(ord(","),) * 16] * 126)
    assert judged.resampled_lines == 0  # 2,032 characters: it may still be a long one
    say_patches(judged, [(ord(","),) * 16] * 2)
    assert (judged.resampled_lines, judged.bars) == (1, 1)
    assert judged.raw.endswith(bar(0, 9))
    assert judged.start == tuple(b"[r:1/8]")
    say(judged, bar(1, 8))
    assert judged.raw.endswith(bar(0, 9) + bar(1, 8))
    free = started()
    begin_body(free, bar(0, 9))
    say_patches(free, [tuple(b"[r:1/8][V:1]C,,,")] + [(ord(","),) * 16] * 200)
    assert free.raw.endswith("," * 3200)


FORM = "%form/1 2 0\n%A8V:h\n%B8I\n"


def test_the_body_begins_behind_a_forced_form():
    """The model would go on with phrases of its own, as behind a form that it wrote itself."""
    draft = started(forced=read_forced_text(FORM, prompted=True))
    say(draft, "%form/1 5 1\n")
    assert draft.raw == PROMPT + "%end\n" + HEADER + FORM
    assert draft.start == tuple(b"[r:0/")
    say(draft, bar(0, 9))
    assert draft.raw == PROMPT + "%end\n" + HEADER + FORM + bar(0, 9)
