"""What a model is told of the notes that sound, against the bars' own reader, and in the engine."""

from __future__ import annotations

import random
import zlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from notagen_models import HEADER, PROMPT

from scoregate import notagen
from scoregate.errors import RequestError, WeightsError
from scoregate.generator import Limits
from scoregate.notagen.backends import kernels
from scoregate.notagen.backends.selection import KERNELS_VARIABLE
from scoregate.notagen.draft import Draft, Rules
from scoregate.notagen.model.network import NotaGen
from scoregate.notagen.model.reference import generate, load_model
from scoregate.notagen.model.shape import ModelShape, shape_of
from scoregate.notagen.sounding import (
    CLASSES,
    EARLIER_CLASSES,
    FEATURES,
    LOWEST,
    OFFSETS,
    SILENT,
    Listener,
)
from scoregate.notagen.text.forced import read_forced_text
from scoregate.notagen.text.patches import encode
from scoregate.notagen.training.deepen import deepen
from scoregate.notagen.training.encode import encode_example, heard
from scoregate.notagen.training.forms import form_of
from scoregate.notagen.training.step import losses
from scoregate.notagen.training.stream import stream_text
from scoregate.notagen.training.synthetic import chorale
from scoregate.notagen.weights import find, open_checkpoint, write_safetensors
from scoregate.notagen.weights.safetensors import LM_HEAD
from scoregate.sampling import Sampling

pytestmark = pytest.mark.usefixtures("one_thread")

STYLE = ("Baroque", "Bach, Johann Sebastian", "Choral")
SHAPE = ModelShape(64, 1, 1, 64, sounding=48)
PATCH_WTE = "patch_level_decoder.base.wte.weight"
FORM = "%form/1 4 1\n%A3V:h\n%B4i\n%A4V:h\n%C4?\n"
PITCHES = ("own", "sung", "lost", "lost_too", "cue_root", "cue_third")
SIZES = [  # classes of each feature
    *np.diff(OFFSETS[: FEATURES.index("seventh")]), SILENT - OFFSETS[FEATURES.index("seventh") - 1],
    *np.diff(OFFSETS[FEATURES.index("seventh") :]), CLASSES - OFFSETS[-1],
]  # fmt: skip
TOP = "L:1/8\nM:4/4\nK:G\n"


def told(text: str) -> dict[str, int]:
    """Class of each feature behind a text; MIDI numbers for pitches, 0 for silence."""
    listener = Listener()
    listener.follow(text)
    if listener.features[0] == SILENT:
        return {}
    found = {}
    for name, row, base in zip(FEATURES, listener.features, OFFSETS, strict=True):
        value = row - int(base)
        if name in PITCHES or name.split("_")[0] in ("now", "before", "next", "kept"):
            value = value + LOWEST - 1 if value else 0
        found[name] = value
    return found


def has(text: str, **expected: int) -> None:
    found = told(text)
    assert {name: found[name] for name in expected} == expected


def test_listener_agrees_with_the_reader_of_bars():
    """Time, own pitch, and the other voices' now and before, at every rule-made note."""
    count = 0
    place = {name: at for at, name in enumerate(FEATURES)}
    for number in range(4):
        text = stream_text(chorale(number), STYLE)
        example = encode_example(text)
        rows = heard(text, example.patches) - OFFSETS
        letters = np.isin(example.patches, [ord(char) for char in "ABCDEFGabcdefg"])
        # Inside "!fermata!" the labels stand for the note that follows.
        before = np.roll(example.patches.reshape(-1), 1).reshape(example.patches.shape)
        letters &= (before < ord("a")) & (before != ord("!"))
        for row, column in np.argwhere(letters & (example.time >= 0)):
            found = rows[row, column]
            assert found[place["time"]] == example.time[row, column]
            assert found[place["own"]] == example.own[row, column]
            for voice in range(3):
                if example.now[row, column, voice] >= 0:
                    now, was = example.now[row, column, voice], example.before[row, column, voice]
                    assert found[place[f"now_{voice + 1}"]] == now
                    assert found[place[f"before_{voice + 1}"]] == was
            count += 1
    assert count > 400


def test_nothing_is_told_outside_the_music():
    assert told("") == told(TOP) == told(TOP + "[r:0/3][V:") == {}
    assert told(TOP + "[r:0/3][V:1]") != {}
    assert told(TOP + "[r:0/3][V:1]G2 A2|") == {}
    assert told(TOP + "[r:0/3][V:5]") == {}  # of more voices than four


def test_time_and_what_is_left_of_the_bar():
    has(TOP + "[V:1]", voice=1, time=0, left=16, own=0)
    has(TOP + "[V:1]G2", time=4, left=12, own=67, own_degree=1)
    has(TOP + "[V:1]G2 A/", time=5, left=11, own=69, own_motion=15)
    has("L:1/4\nM:3/4\nK:G\n[V:1]G", time=4, left=8)
    # A pickup is as long as the first voice made it.
    has(TOP + "[V:1]G2|[V:2]", time=0, left=4)
    has(TOP + "[V:1]G4|\n[V:1][M:3/4]", time=0, left=12)


def test_signs_of_the_key_the_bar_and_the_tie():
    has(TOP + "[V:1]F", own=66)
    has(TOP + "[V:1]=F", own=65)
    has(TOP + "[V:1]=F2 G2 F", own=65)
    has(TOP + "[V:1]=F2 F'", own=78)  # another octave keeps the key's sign
    has(TOP + "[V:1]=F4|\n[V:1]F", own=66)
    has(TOP + "[V:1]=F4-|\n[V:1]", tied=1, own=65)
    has(TOP + "[V:1]=F4-|\n[V:1]F", own=65, tied=0)
    has("L:1/8\nM:4/4\nK:G\n[V:1][K:F]B", own=70, own_degree=6)


def test_other_voices_now_before_next_and_their_fermata():
    line = TOP + "[V:1]G2 A2 !fermata!B4|[V:2]"
    has(line, now_1=67, before_1=0, next_1=69, wait_1=4, flags_1=1, pause=9)
    has(line + "D2", now_1=69, before_1=67, next_1=71, wait_1=4, pause=5)
    has(line + "D2 D2", now_1=71, before_1=69, next_1=0, wait_1=0, flags_1=3, pause=1)
    # The line before is remembered, of later voices too.
    has(line + "D8|\n[V:1]", before_2=62, now_2=0)
    has(line + "D8|\n[V:1]B2|[V:2]", before_1=71, now_1=71)


def test_the_pitch_that_would_keep_a_perfect_interval():
    fifth = TOP + "[V:1]d2 e2|[V:2]G2"  # d over G, then the upper voice rises a tone
    has(fifth, interval_1=1 + 7, motion_1=13 + 2, kept_1=69)
    has(TOP + "[V:1]d2 e2|[V:2]A2", interval_1=1 + 5, motion_1=13 + 2, kept_1=0)  # a fourth
    has(TOP + "[V:1]G2 A2|[V:2]d2", interval_1=1 + 7, kept_1=76)  # the voices have crossed
    octave = TOP + "[V:1]g2 f2|[V:2]G2"
    has(octave, interval_1=1, motion_1=13 - 1, kept_1=66)
    has(TOP + "[V:1]g2 g2|[V:2]G2", interval_1=1, kept_1=0)  # nothing moves


BARS = (
    "[r:0/4][V:1]G2 A2 B2 !fermata!A2|[V:2]D4 G2 ^F2|\n[r:1/3][V:1]G2 F2 E2 !fermata!E2|[V:2]D8|\n"
)


def test_the_place_in_the_form():
    """How long until the note that ends the phrase, on which chord, and how many are left."""
    top = FORM + TOP
    has(top + "[V:1]", phrases_left=5, phrase_left=2 + 12, chord=2 + 7, major=2, cadence=2)
    has(top + "[V:1]G2 A2", phrases_left=5, phrase_left=2 + 4, root=1 + 1, root_class=1 + 2)  # D
    flat = FORM.replace("A3V:h", "A3bIII") + TOP.replace("K:G", "K:F#m")
    has(flat + "[V:1]", chord=2 + 3, root=1 + 5, root_class=1 + 9)  # A
    has(FORM.replace("A3V:h", "A3?") + TOP + "[V:1]", chord=1, root=0, root_class=0)
    has(top + "[V:1]G2 A2 B2", phrases_left=5, phrase_left=2)
    has(top + "[V:1]G2 A2 B2 !fermata!A", phrases_left=4, phrase_left=2 + 14, chord=2, major=1)
    has(top + BARS + "[V:1]", phrases_left=3, phrase_left=2 + 12, chord=2 + 7, cadence=2)
    # The other voices stand at the same place in the form as the first at that time.
    has(top + BARS[:41] + "[V:2]D4", phrases_left=5, phrase_left=2 + 4)
    has(top + BARS[:41] + "[V:2]D4 G2 A", phrases_left=4, phrase_left=2 + 14)
    # Nobody ended the phrase in time, and behind the last phrase there is none.
    has(top + "[V:1]G8|\n[V:1]", phrases_left=5, phrase_left=1)
    ends = "!fermata!G4 G4|\n"
    has(top + 4 * f"[V:1]{ends}" + "[V:1]", phrases_left=1, phrase_left=0, chord=0)
    # Fermatas a quarter apart are one.
    has(top + "[V:1]G2 A2 !fermata!B2 !fermata!A2|\n[V:1]", phrases_left=4, phrase_left=2 + 12)


def test_the_chord_that_a_cadence_calls_for():
    """The dominant in the half note before an authentic cadence, the last chord at its end."""
    line = TOP + "[V:1]G2 A2 B2"
    authentic = FORM.replace("A3V:h", "A4i") + line  # G minor: D, with F sharp, then G with B flat
    has(authentic[:-6], cue=0, cue_root=0)
    has(authentic[:-3], cue=1 + 14 + 1, cue_root=74, cue_third=66)
    has(authentic, cue=1 + 7 + 1, cue_root=74, cue_third=66)
    has(authentic + "A2", cue=1 + 4, cue_root=67, cue_third=70)
    plagal = FORM.replace("A3V:h", "A4I:p") + line
    has(plagal, cue=1 + 7 + 0, cue_root=72, cue_third=76)  # C
    half = FORM.replace("A3V:h", "A4V:h") + line
    has(half, cue=0, cue_root=0, cue_third=0)
    has(half + "A2", cue=1 + 1, cue_third=66)
    has(FORM.replace("A3V:h", "A4?") + line + "A2", cue=0, cue_sign=0)
    # F sharp and the C of the plagal cadence's chord are in the key; B flat is below it.
    has(authentic, cue_sign=1)
    has(authentic + "A2", cue_sign=2)
    has(FORM.replace("A3V:h", "A4V") + line, cue_sign=3)  # A with C sharp, before D


def test_the_lines_that_follow_and_where_a_line_begins_in_the_bar():
    bars = "[r:0/3][V:1]G2|\n[r:1/2][V:1]G8|\n[r:2/1][V:1]G4 G2:|\n"
    has(TOP + "[r:0/3][V:1]", lines_left=4, phase=0)
    has(TOP + bars[:16] + "[r:1/2][V:1]G8", lines_left=3, phase=0)
    has(TOP + bars + "[r:3/0][V:1]", lines_left=1, phase=12)  # a quarter completes the bar
    has(TOP + bars + "[r:3/0][V:1]G2|\n[V:1]", lines_left=0, phase=0)
    has(TOP + "[r:0/9999][V:1]", lines_left=4)
    has(TOP + "[r:0/x][V:1]", lines_left=0)
    has(TOP + "[V:1]G8|\n[V:1]G4|\n[V:1]", phase=8)


def test_no_form_tells_nothing_of_one():
    for top in (TOP, "%form/2 1\n%A8I\n" + TOP, "%form/1 2\n%A8I\n%B8\n" + TOP):
        found = told(top + BARS + "[V:1]")
        names = FEATURES[FEATURES.index("phrases_left") : FEATURES.index("lines_left")]
        assert all(found[name] == 0 for name in names)


def test_what_was_sung_is_told_where_the_phrase_returns():
    """The third phrase is the first again: its notes stand as long before its end as there."""
    top = FORM + TOP + BARS
    at_g = {"phrases_left": 3, "sung": 67, "sung_begins": 2, "sung_wait": 4}
    has(top + "[V:1]", **at_g)
    has(top + "[V:1]G", sung=67, sung_begins=1, sung_wait=2)
    has(top + "[V:1]G2", sung=69, sung_begins=2, sung_wait=4)
    has(top + "[V:1]G2 A2 B2", sung=69, sung_begins=2, sung_wait=4)
    # The second voice sang D as a half note there.
    has(top + "[V:1]G2 A2 B2 A2|[V:2]", sung=62, sung_begins=2, sung_wait=8)
    has(top + "[V:1]G2 A2 B2 A2|[V:2]D2", sung=62, sung_begins=1, sung_wait=4)
    # In a phrase that is new, and before the beginning of the first, nothing is told.
    has(FORM + TOP + "[V:1]G2", sung=0, sung_begins=0)
    has(FORM.replace("A4V:h", "A6V:h") + TOP + BARS + "[V:1]", sung=0, sung_begins=0)


def test_what_was_sung_is_what_stands_there_now():
    """Of lines that were removed nothing is told where a phrase returns."""
    listener = Listener()
    removed = "[r:0/4][V:1]c2 B2 c2 !fermata!B2|[V:2]E8|\n[r:1/3][V:1]c8|[V:2]E8|\n"
    for so_far in (removed, removed + "[V:1]e4", BARS + "[V:1]", removed[:29], BARS + "[V:1]G2"):
        listener.follow(FORM + TOP + so_far)
        fresh = Listener()
        fresh.follow(FORM + TOP + so_far)
        assert listener.features == fresh.features
    has(FORM + TOP + BARS + "[V:1]G2", sung=69)


def test_the_first_counter_is_told_how_long_the_form_is():
    has(FORM + TOP + "[r:0/", voice=0, bars=4, bars_rest=12)  # 15 quarters: 3 bars and 3 quarters
    has(FORM + TOP + "[r:0/4", bars=4)
    assert told(TOP + "[r:0/") == told(FORM + TOP + "[r:0") == {}
    assert told(FORM + TOP + BARS + "[r:0/") == {}


def test_sevenths_and_leading_tones_of_the_voices_above():
    """D7 under c: the seventh of the chord falls, or it must not become one."""
    above = TOP + "[V:1]c2 d2|[V:2]F2 G2|"
    # c stays a seventh where D comes under c and F sharp: it does not fall by a step.
    has(above + "[V:3]", seventh=0, lost=0)  # no voice of one's own sounds yet, none is nearest
    line = TOP + "[V:1]B2 c2 d2|[V:2]G2 F2 G2|[V:3]G2"
    has(line, lost=62, lost_too=68, leading=1)  # D7, and the chord on G sharp that sounds like it
    falls = TOP + "[V:1]B2 c2 B2|[V:2]G2 F2 G2|[V:3]G2"
    has(falls, lost=68, lost_too=0, leading=1)
    # One's own c over D and F sharp is the seventh that has to fall.
    has(TOP + "[V:1]d2 d2|[V:2]F2 G2|[V:3]c2", seventh=1, leading=0)
    has(TOP + "[V:1]d2 d2|[V:2]G2 G2|[V:3]c2", seventh=0)


def formed(number: int) -> str:
    """Return a rule-made chorale with a form in its header."""
    text = chorale(number)
    form = form_of(text)
    assert form is not None
    return stream_text(text, STYLE, form)


@pytest.mark.parametrize("number", [0, 5])
def test_nothing_looks_ahead(number):
    """Every beginning of a text gives the classes that the whole text has there."""
    text = formed(number)
    rows = heard(text, np.array(encode(text, finished=True), np.uint8))
    tokens = np.array(encode(text, finished=True))
    places = np.argwhere(tokens > 2)
    for at in range(0, len(places), 23):
        listener = Listener()
        listener.follow(text[:at])
        assert listener.features == tuple(rows[tuple(places[at])])


@pytest.mark.slow
def test_whatever_a_model_writes_is_followed():
    """Random characters, most of them of music: no text may end the run."""
    rng = random.Random(1)
    parts = [
        *"ABCDEFGabcdefgzx0123456789/,'^_=-|[](){}!\"<>:.",
        "[V:",
        "]",
        "|\n",
        "[r:",
        "!fermata!",
    ]
    tops = (
        TOP,
        FORM + TOP,
        "%form/1 2\n%A" + TOP,
        "L:1/0\nM:0/0\nK:\n",
        FORM + "L:9/1\nM:99/8\nK:H\n",
        "",
    )
    for _ in range(300):
        text = rng.choice(tops) + "[V:1]" + "".join(rng.choices(parts, k=120))
        listener = Listener()
        listener.follow(text[:20])
        for char in text[20:]:
            listener.hear(ord(char))
            assert all(0 <= row < CLASSES for row in listener.features)
            place = [row - base for row, base in zip(listener.features, OFFSETS, strict=True)]
            assert listener.features[0] == SILENT or all(
                0 <= at < size for at, size in zip(place, SIZES, strict=True)
            )
    has(TOP + "[V:1]G3/4/4", time=1)  # three quarters of an eighth, as far as it is a length


def test_listener_forgets_what_was_removed():
    text = formed(1)
    lines = text.splitlines(keepends=True)
    listener = Listener()
    for end in (12, 15, 13, 16, 14, 14, 18):
        so_far = "".join(lines[:end]) + lines[end][: 5 * end % 40]
        listener.follow(so_far + lines[end][5 * end % 40 :] + lines[2])
        listener.follow(so_far)
        fresh = Listener()
        fresh.follow(so_far)
        assert listener.features == fresh.features


def listening(path: Path, spread: float, **metadata: str) -> Path:
    """Write the first chorales with an input of what sounds that changes what they write."""
    checkpoint = open_checkpoint(find("chorales-1"))
    state = dict(checkpoint.read()) | {LM_HEAD: torch.empty(0), PATCH_WTE: torch.zeros(1, 192)}
    shape = replace(checkpoint.shape, length=64, sounding=48)
    model = NotaGen(shape)
    model.reset(torch.Generator().manual_seed(2))
    for name, tensor in model.state_dict().items():
        if ".sounding." in name:
            # More rows than there are: new classes leave those of the others as they are.
            rows = torch.Generator().manual_seed(len(name))
            numbers = torch.randn((4096, *tensor.shape[1:]), generator=rows)
            state[name] = spread * numbers[: len(tensor)]
        elif name.endswith("wpe.weight"):
            state[name] = state[name][: len(tensor)]
    del state[LM_HEAD]
    write_safetensors(path, iter(state.items()), metadata, shape)
    return path


def test_listener_hears_what_was_written_in_place_of_a_line():
    """Lines were removed and written otherwise: nothing of the first ones is left."""
    lines = formed(1).splitlines(keepends=True)
    first = next(i for i, line in enumerate(lines) if line.startswith("[r:"))
    head, body = lines[:first], lines[first:]
    listener = Listener()
    for order in ([0, 1, 2, 3], [0, 2], [0, 2, 4, 1], [0, 2, 1], [3, 2, 1, 5]):
        so_far = "".join([*head, *(body[at] for at in order)]) + "[r:9/9][V:1]"
        listener.follow(so_far)
        fresh = Listener()
        fresh.follow(so_far)
        assert listener.features == fresh.features


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    return listening(tmp_path_factory.mktemp("told") / "w.safetensors", 0.08)


def accept(before: str, line: str) -> bool:
    return zlib.crc32(line.encode()) % 3 != 0


OPENING = HEADER + "[r:0/9][V:1]G2 A2 B2 c2|[V:2]E2 D2 D2 E2|\n"


@pytest.mark.slow
@pytest.mark.parametrize("kernel", [*kernels.kernel_sets(), "none"])
def test_both_paths_write_the_same_piece(weights, kernel, monkeypatch):
    """With refused lines, a forced opening and overflowing contexts, alone and in a batch."""
    monkeypatch.setenv(KERNELS_VARIABLE, kernel)
    rules = Rules(64, Limits(max_steps=40, line_tries=2), accept)
    model = load_model(open_checkpoint(weights))
    draft = Draft(PROMPT, 6, rules, read_forced_text(OPENING, prompted=True))
    draft = generate(model, draft, Sampling(1.0))
    engine = notagen.load(weights, threads=1)
    for count in (1, 3):
        piece = engine.generate(
            [PROMPT] * count, seeds=range(7 - count, 7), sampling=Sampling(temperature=1.0),
            limits=rules.limits, accept_line=accept, prefix=OPENING,
        )[-1]  # fmt: skip
        assert piece.raw == draft.raw
    assert draft.resampled_lines > 0
    assert draft.body.count("[V:") > 4  # it went on in music, where something sounds


@pytest.mark.slow
def test_what_sounds_changes_what_is_written(weights, tmp_path):
    """The same weights with an input that adds nothing write another text."""
    texts = [
        notagen.load(path, threads=1)
        .generate([PROMPT], seeds=[1], prefix=OPENING, limits=Limits(max_steps=20))[0]
        .raw
        for path in (weights, listening(tmp_path / "deaf.safetensors", 0.0))
    ]
    assert texts[0] != texts[1]


@pytest.mark.slow
def test_a_forced_form_ends_the_header_of_the_piece(tmp_path):
    form = "%form/1 2 0\n%A8V:h\n%B8I\n"
    asked = {"seeds": [3], "prefix": form, "limits": Limits(max_steps=24)}
    follows = notagen.load(listening(tmp_path / "follows.safetensors", 0.1, forms="1"), threads=1)
    assert follows.forms
    raw = follows.generate([PROMPT], **asked)[0].raw
    head, _, body = raw.partition("[r:0/")
    assert head.endswith("\n" + form)
    assert "\nK:" in head.removesuffix(form)
    assert body
    for version in ("2", ""):
        foreign = notagen.load(
            listening(tmp_path / f"foreign{version}.safetensors", 0.1, forms=version), threads=1
        )
        assert not foreign.forms
        with pytest.raises(RequestError, match="were not trained on forms"):
            foreign.generate([PROMPT], **asked)


def test_weights_that_begin_to_listen_compute_what_they_did():
    plain = NotaGen(ModelShape(64, 1, 1, 256)).eval()
    grown = NotaGen(ModelShape(64, 1, 1, 256, sounding=48)).eval()
    grown.load_state_dict(deepen(plain.state_dict(), grown.shape))
    example = encode_example(stream_text(chorale(3), STYLE), sounding=True)
    with torch.no_grad():
        assert losses(grown, example).text.item() == pytest.approx(
            losses(plain, example).text.item(), abs=1e-5
        )
    losses(grown, example).text.backward()
    told = grown.char_level_decoder.sounding
    assert told is not None
    assert told.out.weight.grad.abs().sum() > 0
    with pytest.raises(RequestError, match="cannot become"):
        deepen(grown.state_dict(), plain.shape)


def test_weights_of_another_table_are_refused_by_name():
    shapes = dict(SHAPE.tensors())
    assert shape_of(shapes) == SHAPE
    assert SHAPE.as_dict()["sounding"] == 48
    assert "sounding" not in ModelShape(64, 1, 1, 64).as_dict()
    table = "char_level_decoder.sounding.table.weight"
    for rows in EARLIER_CLASSES:
        assert shape_of(shapes | {table: (rows, 48)}) == SHAPE
    shapes[table] = (CLASSES - 1, 48)
    with pytest.raises(WeightsError, match=r"sounding\.table\.weight is"):
        shape_of(shapes)


def test_rows_that_an_earlier_table_lacks_add_nothing(tmp_path):
    path = listening(tmp_path / "now.safetensors", 0.1)
    checkpoint = open_checkpoint(path)
    table = "char_level_decoder.sounding.table.weight"
    state = dict(checkpoint.read())
    whole = state[table]
    state[table] = whole[: EARLIER_CLASSES[0]]
    write_safetensors(tmp_path / "before.safetensors", iter(state.items()), {}, checkpoint.shape)
    before = dict(open_checkpoint(tmp_path / "before.safetensors").read())[table]
    assert before.shape == whole.shape
    assert torch.equal(before[: EARLIER_CLASSES[0]], whole[: EARLIER_CLASSES[0]])
    assert not before[EARLIER_CLASSES[0] :].any()


def test_another_device_is_refused_in_one_line(weights, monkeypatch):
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    with pytest.raises(RequestError, match="computed on the CPU only"):
        notagen.load(weights, device="mps")
