"""The command line's frame: how faults come out."""

from __future__ import annotations

import logging

import pytest
from commands import scoregate

from scoregate.errors import RequestError
from scoregate.flows import cli, launch


def test_a_fault_of_our_own_is_no_rejection(monkeypatch, capsys):
    def fall_over():
        raise ZeroDivisionError("somewhere inside")

    monkeypatch.setattr(cli, "app", fall_over)
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 2
    printed = capsys.readouterr().err
    assert "somewhere inside" in printed
    assert "a fault of the program's own" in printed


def test_an_error_with_a_remedy_is_two_sentences(monkeypatch, capsys):
    def refuse():
        raise RequestError("It can't be.", "Do this.")

    monkeypatch.setattr(cli, "app", refuse)
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 2
    assert capsys.readouterr().err == "scoregate: It can't be.\nDo this.\n"


def test_ctrl_c_outside_of_the_writing_says_what_is_left(monkeypatch, capsys):
    def interrupt(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("scoregate.flows.launch.prepare", lambda verbose: None)
    monkeypatch.setattr("scoregate.flows.launch.run_flow", interrupt)
    monkeypatch.setattr("sys.argv", ["scoregate", "produce", "--out", "somewhere"])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 130
    assert "What is finished is kept in somewhere" in capsys.readouterr().err


@pytest.mark.slow
def test_a_corpus_is_written_by_side(tmp_path):
    from music21 import corpus

    (tmp_path / "in").mkdir()
    for work in ("66.6", "7.7", "10.7", "12.7"):
        corpus.parse(f"bach/bwv{work}").write("musicxml", tmp_path / "in" / f"{work}.musicxml")
    (tmp_path / "in" / "broken.mxl").write_text("no score")
    done = scoregate("corpus", tmp_path / "in", "--folder", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    written = {path.parent.name for path in (tmp_path / "out").rglob("*.abc")}
    assert written == {"train", "validation", "test"}
    assert len(list((tmp_path / "out").rglob("*.abc"))) == 4
    assert "lost       1 scores" in done.stdout


@pytest.mark.parametrize("verbose", [False, True])
def test_events_that_a_lost_server_did_not_take_are_dumped_only_when_asked(monkeypatch, verbose):
    logger = logging.getLogger("prefect._internal.concurrency")
    monkeypatch.setattr(logger, "disabled", False)
    monkeypatch.setattr("scoregate.flows.launch.json_is_wanted", lambda: False)
    launch.prepare(verbose)
    assert logger.disabled is not verbose
