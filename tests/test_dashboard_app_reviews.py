"""Reviews: append-only, undone by a further event, safe against crashes and each other."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import threading

import pytest

from scoregate.archive.reviews import Reviews
from scoregate.errors import ArchiveError, RequestError


@pytest.fixture
def reviews(tmp_path):
    return Reviews(tmp_path)


def test_an_opinion_is_what_stands(reviews):
    reviews.rate("ann", "p", 2)
    reviews.rate("ann", "p", 4)
    reviews.tag("ann", "p", "  fine   ending ")
    reviews.tag("ann", "p", "slow")
    reviews.tag("ann", "p", "slow", remove=True)
    reviews.note("ann", "p", "a\r\nb")
    reviews.decide("ann", "p", "keep")
    found = reviews.opinion("ann", "p")
    assert (found.rating, found.tags, found.note, found.decision) == (
        4, ["fine ending"], "a\nb", "keep")  # fmt: skip
    assert reviews.tags() == ["fine ending"]
    assert reviews.opinion("bob", "p").is_empty


def test_undo_takes_back_one_event_after_the_other(reviews):
    reviews.rate("ann", "p", 2)
    reviews.rate("ann", "q", 5)
    reviews.rate("bob", "p", 1)
    reviews.rate("ann", "p", 4)
    assert reviews.undo("ann") == ("rating", "p")
    assert reviews.opinion("ann", "p").rating == 2
    assert reviews.undo("ann") == ("rating", "q")
    assert reviews.undo("ann") == ("rating", "p")
    assert reviews.undo("ann") is None
    assert reviews.opinion("ann", "p").is_empty
    assert reviews.opinion("bob", "p").rating == 1
    assert len(list(reviews.events())) == 7


def test_events_are_never_changed_or_deleted(reviews):
    reviews.rate("ann", "p", 2)
    with sqlite3.connect(reviews.path) as db:
        for statement in ("UPDATE events SET value = '5'", "DELETE FROM events"):
            with pytest.raises(sqlite3.IntegrityError, match="never"):
                db.execute(statement)


def test_what_is_computed_is_computed_again(reviews):
    reviews.rate("ann", "p", 2)
    reviews.rate("bob", "p", 4)
    with sqlite3.connect(reviews.path) as db:
        db.execute("DELETE FROM opinions")
        db.execute("DELETE FROM reviewed")
    assert reviews.rebuild() == 2
    with reviews.reading() as db:
        assert tuple(db.execute("SELECT rating, ratings FROM reviewed").fetchone()) == (3.0, 2)


def test_comparisons_stand_until_they_are_undone(reviews):
    reviews.compare("ann", "p", "q", "b", prompt="a/b/c", seed=7)
    reviews.compare("bob", "p", "q", "tie", prompt="a/b/c", seed=8)
    assert [(one.outcome, one.seed, one.prompt) for one in reviews.comparisons()] == [
        ("b", 7, "a/b/c"), ("tie", 8, "a/b/c")]  # fmt: skip
    assert reviews.undo("ann") == ("comparison", "p")
    assert [one.reviewer for one in reviews.comparisons()] == ["bob"]


@pytest.mark.parametrize(
    "write",
    [
        lambda reviews: reviews.rate("a", "p", 0),
        lambda reviews: reviews.rate("a", "p", 6),
        lambda reviews: reviews.decide("a", "p", "perhaps"),
        lambda reviews: reviews.tag("a", "p", " "),
        lambda reviews: reviews.tag("a", "p", "x" * 61),
        lambda reviews: reviews.note("a", "p", "x" * 4001),
        lambda reviews: reviews.compare("a", "p", "p", "a", prompt="", seed=1),
        lambda reviews: reviews.compare("a", "p", "q", "c", prompt="", seed=1),
    ],
)
def test_what_makes_no_sense_is_refused(reviews, write):
    with pytest.raises(RequestError):
        write(reviews)
    assert not reviews.path.exists() or not list(reviews.events())


def test_text_that_is_no_text_is_kept_readable(reviews):
    reviews.note("ann\0\ud800", "p", "x\0y\udfff")
    (event,) = reviews.events()
    assert event["value"] == "x y\\udfff"
    assert event["reviewer"] == "ann \\ud800"


def test_two_reviewers_at_once_lose_nothing(tmp_path):
    def work(name: str) -> None:
        own = Reviews(tmp_path)
        for number in range(40):
            own.rate(name, f"p{number % 10}", number % 5 + 1)

    threads = [threading.Thread(target=work, args=(name,)) for name in ("ann", "bob", "cid")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    reviews = Reviews(tmp_path)
    assert len(list(reviews.events())) == 120
    assert reviews.count() == 30


def test_a_process_killed_in_mid_rating_leaves_whole_events(tmp_path):
    code = (
        "import sys; from pathlib import Path\n"
        "from scoregate.archive.reviews import Reviews\n"
        "reviews = Reviews(Path(sys.argv[1]))\n"
        "for number in range(100_000):\n"
        "    print(reviews.rate('ann', f'p{number}', 3), flush=True)\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout
    for _ in range(30):
        process.stdout.readline()
    os.kill(process.pid, signal.SIGKILL)
    confirmed = 30 + len(process.stdout.read().split())
    process.wait()
    reviews = Reviews(tmp_path)
    written = len(list(reviews.events()))
    # Every rating that was confirmed is there; at most one more was under way.
    assert confirmed <= written <= confirmed + 1
    assert reviews.count() == written
    assert reviews.rate("ann", "q", 1) == written + 1


def test_a_damaged_or_newer_file_is_told_and_left_alone(tmp_path):
    reviews = Reviews(tmp_path)
    reviews.path.write_bytes(b"no database at all" * 100)
    before = reviews.path.read_bytes()
    with pytest.raises(ArchiveError, match=r"reviews\.sqlite"):
        reviews.rate("ann", "p", 3)
    assert reviews.path.read_bytes() == before
    reviews.path.unlink()
    with sqlite3.connect(reviews.path) as db:
        db.execute("PRAGMA user_version = 99")
    with pytest.raises(ArchiveError, match="newer"):
        reviews.rate("ann", "p", 3)
