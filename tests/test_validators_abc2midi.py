"""abc2midi in its sandbox: what a program may do to us, and what may not happen then."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from scoregate.errors import ToolError
from scoregate.validators import abc2midi
from scoregate.validators.checking import judge_version
from scoregate.validators.examination import examine

TUNE = "X:1\nM:4/4\nL:1/4\nK:C\nCDEF|\n"


@pytest.fixture
def program(tmp_path, monkeypatch):
    """Put a program of our own in abc2midi's place."""

    def put(body: str) -> None:
        path = tmp_path / "abc2midi"
        path.write_text(f"#!/bin/sh\n{body}\n")
        path.chmod(0o755)
        found = abc2midi.Program(str(path), "0.0")
        monkeypatch.setattr(abc2midi, "find", lambda: found)

    return put


def test_a_tune_gives_midi_and_words():
    run = abc2midi.run(TUNE)
    assert run.failure == ""
    assert run.midi.startswith(b"MThd")
    assert "writing MIDI file" in run.messages


def test_version_and_path_are_known_for_the_provenance():
    found = abc2midi.find()
    assert Path(found.path).is_file()
    assert found.version[0].isdigit()


def test_hanging_is_ended(program, monkeypatch):
    monkeypatch.setattr(abc2midi, "WALL_SECONDS", 0.3)
    program("sleep 60")
    begin = time.monotonic()
    assert abc2midi.run(TUNE).failure.startswith("took longer")
    assert time.monotonic() - begin < 20


@pytest.mark.slow
def test_the_whole_group_is_killed(program, monkeypatch, tmp_path):
    monkeypatch.setattr(abc2midi, "WALL_SECONDS", 0.5)
    program(f"sleep 60 & echo $! > {tmp_path}/child; wait")
    assert abc2midi.run(TUNE).failure.startswith("took longer")
    child = int((tmp_path / "child").read_text())
    for _ in range(100):
        state = Path(f"/proc/{child}/stat")
        if not state.exists() or state.read_text().rsplit(")")[-1].split()[0] == "Z":
            break
        time.sleep(0.05)
    else:
        pytest.fail("the program's child goes on")


def test_a_program_that_reads_nothing_does_not_block_us(program, monkeypatch):
    monkeypatch.setattr(abc2midi, "WALL_SECONDS", 0.3)
    program("exec sleep 60")
    assert abc2midi.run(TUNE * 50_000).failure.startswith("took longer")


def test_crashing_is_named(program):
    program("kill -SEGV $$")
    assert abc2midi.run(TUNE).failure == "crashed (SIGSEGV)"


def test_endless_output_is_cut_off(program):
    program("exec yes")
    run = abc2midi.run(TUNE)
    assert run.failure == "wrote more than 16 MiB"
    assert len(run.messages) <= abc2midi.OUTPUT_BYTES


def test_memory_is_bounded(program):
    program("cat > /dev/null; ulimit -v")  # the limits are in force before the text comes
    assert abc2midi.run(TUNE).messages.strip() == str(abc2midi.MEMORY_BYTES // 1024)


def test_environment_and_folder_are_bare(program):
    program("env; pwd; ls")
    messages = abc2midi.run(TUNE).messages
    assert "HOME" not in messages
    assert os.getcwd() not in messages.splitlines()


def test_nothing_is_left_behind(program, tmp_path, monkeypatch):
    monkeypatch.setattr(abc2midi, "_memory_folder", lambda: str(tmp_path / "t"))
    (tmp_path / "t").mkdir()
    program("echo x > tune.mid")
    assert abc2midi.run(TUNE).midi == b"x\n"
    assert list((tmp_path / "t").iterdir()) == []


def test_a_text_beyond_the_limit_is_not_run(program):
    program("echo ran")
    run = abc2midi.run("x" * (abc2midi.TEXT_BYTES + 1))
    assert run.messages == ""
    assert "longer than 8 MiB" in run.failure


@pytest.fixture
def unset(monkeypatch):
    """Start without the variable and without the result of an earlier search."""
    monkeypatch.delenv(abc2midi.VARIABLE, raising=False)
    abc2midi._find.cache_clear()
    yield
    abc2midi._find.cache_clear()


@pytest.fixture
def fake(tmp_path, monkeypatch, unset):
    """Put an abc2midi of another version first on PATH."""
    path = tmp_path / "bin" / "abc2midi"
    path.parent.mkdir()
    path.write_text("#!/bin/sh\necho '4.84 March 19 2023 abc2midi'\n")
    path.chmod(0o755)
    monkeypatch.setenv("PATH", f"{path.parent}:{os.environ['PATH']}")
    return path


def test_the_bundled_program_is_taken_whatever_stands_on_path(fake):
    found = abc2midi.find()
    assert Path(found.path).parts[-3:] == ("symusic", "bin", "abc2midi")
    assert found.version.startswith("5.")


@pytest.mark.parametrize("by_path", [True, False])
def test_the_variable_names_another_and_every_report_says_which(fake, monkeypatch, by_path):
    monkeypatch.setenv(abc2midi.VARIABLE, str(fake) if by_path else "abc2midi")
    assert abc2midi.find() == abc2midi.Program(str(fake), "4.84 March 19 2023")
    version = examine(TUNE, gates=["syntax"]).outcomes["syntax"].version
    assert "abc2midi 4.84 March 19 2023" in version


def test_screen_judges_again_with_another_abc2midi(fake, monkeypatch):
    bundled = judge_version(None)
    assert f"abc2midi {abc2midi.find().version}" in bundled
    monkeypatch.setenv(abc2midi.VARIABLE, str(fake))
    assert judge_version(None) == bundled.replace(
        f"abc2midi {abc2midi._program(str(abc2midi._bundled())).version}",
        "abc2midi 4.84 March 19 2023",
    )
    assert judge_version(None) != bundled


def test_a_variable_that_names_no_program_is_refused_and_nothing_else_is_taken(fake, monkeypatch):
    monkeypatch.setenv(abc2midi.VARIABLE, str(fake.parent / "missing"))
    with pytest.raises(ToolError, match="SCOREGATE_ABC2MIDI names"):
        abc2midi.find()
    assert not examine(TUNE).judged


def test_without_the_wheels_build_the_one_on_path_is_taken(fake, monkeypatch):
    monkeypatch.setattr(abc2midi, "_bundled", lambda: None)
    assert abc2midi.find().path == str(fake)


@pytest.mark.parametrize("inside", [True, False])
def test_a_missing_program_says_what_to_install(monkeypatch, unset, inside):
    monkeypatch.setattr(abc2midi.shutil, "which", lambda name: None)
    monkeypatch.setattr(abc2midi, "_bundled", lambda: None)
    with pytest.raises(ToolError, match="pip install symusic"):
        abc2midi.run(TUNE) if inside else abc2midi.find()


def test_the_shell_limits_where_processes_cannot_be_limited_from_outside(program, monkeypatch):
    monkeypatch.delattr(abc2midi.resource, "prlimit")
    program("ulimit -v; ulimit -t")
    messages = abc2midi.run(TUNE).messages.split()
    assert messages == [str(abc2midi.MEMORY_BYTES // 1024), str(abc2midi.CPU_SECONDS)]


def test_without_room_in_memory_the_folder_lies_on_disk(monkeypatch):
    class Full:
        f_bavail, f_frsize = 10, 4096

    monkeypatch.setattr(abc2midi.os, "statvfs", lambda path: Full)
    assert abc2midi._memory_folder() is None
    assert abc2midi.run(TUNE).failure == ""
