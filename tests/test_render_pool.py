"""The pool: what one piece does to its worker costs no other piece anything."""

import os
import time
from types import SimpleNamespace

import pytest

from scoregate.abc.reader import read
from scoregate.render import audio, pool
from scoregate.render.midi import midi_of
from scoregate.render.pool import Job, Rendering, _Worker, render_pieces

PIECE = "X:1\nL:1/4\nM:4/4\nK:C\nV:1 treble\n[V:1]CDEF|]\n"


def job(text: str = PIECE, **fields) -> Job:
    return Job(text, read(text), **fields)


def test_a_piece_has_midi_musicxml_and_pages():
    (rendering,) = render_pieces([job()])
    assert list(rendering.files) == ["score.mid", "score.musicxml", "score-1.svg"]
    assert rendering.notes == []
    assert rendering.pages[0].startswith("<svg")


@pytest.mark.slow
def test_results_come_in_order_and_are_told_one_by_one():
    told = []
    texts = [PIECE.replace("CDEF", f"{'C' * n}") for n in range(1, 7)]
    jobs = [job(text) for text in texts]
    renderings = render_pieces(jobs, workers=2, on_done=lambda index, _: told.append(index))
    assert [rendering.files["score.mid"] for rendering in renderings] == [
        midi_of(job.score) for job in jobs if job.score
    ]
    assert sorted(told) == list(range(6))


def test_no_pieces_are_no_work():
    assert render_pieces([]) == []


BROKEN = ["", "X:1\n", "\x00" * 1000, "\ud800", "X:1\nK:C\n[[[[", "x" * 3_000_000]


@pytest.fixture(scope="module")
def renderings_of_broken_texts() -> list[Rendering]:
    """Render them by one worker: to start one for each text takes half a second."""
    return render_pieces([Job(text, read(text[:1000])) for text in BROKEN], workers=1)


@pytest.mark.parametrize("number", range(len(BROKEN)), ids=lambda n: repr(BROKEN[n][:20]))
def test_a_text_that_cannot_be_rendered_gives_a_note(renderings_of_broken_texts, number):
    rendering = renderings_of_broken_texts[number]
    assert rendering.notes
    assert "score.musicxml" not in rendering.files


@pytest.mark.slow
def test_without_a_score_there_is_no_midi_but_everything_else():
    (rendering,) = render_pieces([Job(PIECE)])
    assert list(rendering.files) == ["score.musicxml", "score-1.svg"]
    assert "no MIDI" in rendering.notes[0]


def faulty(monkeypatch, body: str, step: str = "musicxml.to_musicxml") -> None:
    """Let workers do something else for a piece with the title 'trap'."""
    code = (
        "import json, os, signal, sys, time\n"
        "from scoregate.render import engrave, musicxml, worker\n"
        f"real = {step}\n"
        f"def trap(text, *rest):\n if 'trap' in str(text):\n  {body}\n return real(text, *rest)\n"
        f"{step} = trap\n"
        "worker.main()\n"
    )
    start = pool.subprocess.Popen

    def popen(command, **options):
        return start([command[0], "-c", code], **options)

    monkeypatch.setattr(pool, "subprocess", SimpleNamespace(**vars(pool.subprocess)))
    monkeypatch.setattr(pool.subprocess, "Popen", popen)


TRAP = PIECE.replace("L:", "T:trap\nL:")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("time.sleep(600)", "longer than 0.5 s"),
        ("while True: pass", "longer than 0.5 s"),
        ("os.kill(os.getpid(), signal.SIGSEGV)", "SIGSEGV"),
        ("os._exit(3)", "status 3"),
        ("bytearray(8 << 30)", "MemoryError"),
    ],
)
def test_a_piece_that_brings_its_worker_down_harms_no_other(monkeypatch, body, said):
    faulty(monkeypatch, body)
    before, trapped, after = render_pieces(
        [job(), job(TRAP), job()], workers=1, limit_s=0.5 if "0.5" in said else 20
    )
    assert said in " ".join(trapped.notes)
    assert list(trapped.files) == ["score.mid"]
    for rendering in (before, after):
        assert (len(rendering.files), rendering.notes) == (3, [])


@pytest.mark.slow
def test_an_error_in_engraving_keeps_the_musicxml(monkeypatch):
    faulty(monkeypatch, "raise ImportError('no verovio')", "engrave.engrave")
    (rendering,) = render_pieces([job(TRAP)])
    assert list(rendering.files) == ["score.mid", "score.musicxml"]
    assert rendering.notes == ["no engraving: ImportError: no verovio"]


@pytest.mark.slow
def test_a_hanging_worker_is_ended_with_its_process_group():
    worker = _Worker(0.1)
    process = worker._start()
    worker.receive(Rendering())
    assert process.poll() is not None
    with pytest.raises(ProcessLookupError):
        os.killpg(process.pid, 0)


@pytest.mark.slow
def test_the_converter_stays_inside_its_time_on_a_flood_of_brackets():
    began = time.monotonic()
    (rendering,) = render_pieces([job(PIECE.replace("CDEF", "(" * 400 + "C"))], limit_s=2)
    assert time.monotonic() - began < 40
    assert "score.mid" in rendering.files


@pytest.mark.slow
def test_a_preview_says_what_is_missing(monkeypatch):
    monkeypatch.setattr(audio.shutil, "which", lambda name: None)
    (rendering,) = render_pieces([job(audio=True)])
    assert rendering.notes == ["no audio preview: fluidsynth is not installed"]
    monkeypatch.setattr(audio.shutil, "which", lambda name: "/usr/bin/fluidsynth")
    monkeypatch.setattr(audio, "_soundfont", lambda: None)
    assert "no soundfont" in audio.preview(b"")[2]


@pytest.mark.slow
def test_a_preview_is_small_and_audible():
    if audio.shutil.which("fluidsynth") is None or audio._soundfont() is None:
        pytest.skip("no fluidsynth or no soundfont on this machine")
    (rendering,) = render_pieces([job(audio=True)])
    assert rendering.files["preview.ogg"][:4] == b"OggS"
    assert 2_000 < len(rendering.files["preview.ogg"]) < 100_000
