"""The archive: what goes in comes out, whole, once, and under names of its own."""

import errno
import hashlib
import json
import multiprocessing
import os
import subprocess
import sys
from pathlib import Path

import pytest

from scoregate.archive import atomic
from scoregate.archive.records import PieceReport, RunRecord
from scoregate.archive.store import Archive, new_run_id
from scoregate.errors import ArchiveError, CorruptError, RequestError
from scoregate.piece import piece_id

ROOT = Path(__file__).parents[1]
TEXT = "X:1\nT:Ein Stück\nL:1/4\nM:4/4\nK:C\nCDEF|]\n"


def passing(**fields) -> PieceReport:
    return PieceReport(
        **{
            "status": "passed",
            "style": "Baroque/Bach, Johann Sebastian/Choral",
            "run_id": "run-1",
            "title": '../../etc/<script>alert("x")</script>',
            "provenance": {"seed": 7, "weights": {"sha256": "ab"}},
            "measures": {"measures.pitch_entropy": 4.25, "measures.groove": float("nan")},
            "gates": {"bars": "1"},
            "summary": {"bars": 1, "voices": 1},
            **fields,
        }
    )


def rejected(**fields) -> PieceReport:
    finding = {"gate": "bars", "code": "bars.short", "severity": "critical", "message": "short"}
    return passing(status="rejected", findings=[finding], **fields)


def files_below(folder: Path) -> list[str]:
    return sorted(
        str(path.relative_to(folder))
        for path in folder.rglob("*")
        if path.is_file() and not path.name.startswith(("catalog.", "format.json"))
    )


def test_a_piece_comes_back_as_it_was(tmp_path):
    store = Archive(tmp_path)
    entry = store.add({"score.abc": TEXT, "score.mid": b"MThd\0"}, passing())
    assert entry.piece_id == hashlib.sha256(TEXT.encode()).hexdigest() == piece_id(TEXT)
    assert entry.path == tmp_path / "archive/pieces" / entry.piece_id[:2] / entry.piece_id
    assert (entry.path / "score.abc").read_text() == TEXT
    assert (entry.path / "score.mid").read_bytes() == b"MThd\0"
    report = store.report(entry.piece_id[:8])
    assert report.measures == {"measures.pitch_entropy": 4.25, "measures.groove": None}
    assert report.provenance == {"seed": 7, "weights": {"sha256": "ab"}}
    assert set(report.files) == {"score.abc", "score.mid"}
    assert report.seal == report.computed_seal()


def test_no_name_comes_from_the_piece(tmp_path):
    Archive(tmp_path).add({"score.abc": TEXT, "score-1.svg": "<svg/>"}, passing())
    names = {Path(name).name for name in files_below(tmp_path)}
    assert names == {"score.abc", "score-1.svg", "report.json"}


def test_the_same_piece_twice_is_one_entry_and_the_first_stays(tmp_path):
    store = Archive(tmp_path)
    first = store.add({"score.abc": TEXT}, passing(run_id="first"))
    second = store.add({"score.abc": TEXT}, passing(run_id="second"))
    assert (first.new, second.new) == (True, False)
    assert store.report(first).run_id == "first"
    assert list(store.ids()) == [first.piece_id]


def test_a_damaged_entry_is_set_aside_for_a_sound_one(tmp_path):
    store = Archive(tmp_path)
    entry = store.add({"score.abc": TEXT}, passing())
    (entry.path / "score.abc").write_text("X:1\n")
    assert store.add({"score.abc": TEXT}, passing()).new
    assert (entry.path / "score.abc").read_text() == TEXT
    (aside,) = store.damaged.iterdir()
    assert (aside / "score.abc").read_text() == "X:1\n"


@pytest.mark.parametrize("status", ["rejected", "could not be judged"])
def test_only_passing_pieces_are_archived(tmp_path, status):
    with pytest.raises(ArchiveError):
        Archive(tmp_path).add({"score.abc": TEXT}, passing(status=status))
    assert files_below(tmp_path) == []


def test_rejected_pieces_are_kept_apart(tmp_path):
    store = Archive(tmp_path)
    entry = store.reject("run-1", {"score.abc": TEXT, "raw.abc": TEXT}, rejected())
    assert entry.path == tmp_path / "rejected" / "run-1" / entry.piece_id
    assert list(store.ids()) == []
    (report,) = store.rejected_reports("run-1")
    assert report.findings[0].code == "bars.short"
    assert store.report(entry.piece_id[:6]).status == "rejected"


@pytest.mark.parametrize(
    "name", ["../score.mid", "score.mid/../../x", "report.json", "score-0.svg", "a.abc", ""]
)
def test_a_name_that_is_not_the_archives_is_refused(tmp_path, name):
    with pytest.raises(ArchiveError):
        Archive(tmp_path).add({"score.abc": TEXT, name: b""}, passing())
    assert files_below(tmp_path) == []


@pytest.mark.parametrize("run_id", ["..", "../x", "", ".hidden", "a/b", "a\nb", "a" * 200])
def test_a_run_id_that_is_a_path_is_refused(tmp_path, run_id):
    with pytest.raises(RequestError):
        Archive(tmp_path).reject(run_id, {"score.abc": TEXT}, rejected())
    assert not (tmp_path / "rejected").exists()


def test_text_that_utf8_cannot_hold_is_kept(tmp_path):
    store = Archive(tmp_path)
    entry = store.reject("r", {"score.abc": "X:1\nT:\ud800\n"}, rejected(title="\ud800"))
    assert (entry.path / "score.abc").read_bytes() == b"X:1\nT:\\ud800\n"
    assert store.report(entry).title == "\\ud800"


def test_a_full_disk_leaves_nothing_half_written(tmp_path, monkeypatch):
    store = Archive(tmp_path)
    kept = store.add({"score.abc": TEXT}, passing())
    before = files_below(tmp_path)
    written = []

    def full(path, content):
        if path.name == "report.json":
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        written.append(path.name)
        path.write_bytes(content)

    monkeypatch.setattr(atomic, "_write_new", full)
    with pytest.raises(ArchiveError, match="No space left on device"):
        store.add({"score.abc": TEXT + "%\n", "score.mid": b"x"}, passing())
    assert written == ["batch.json", "score.abc", "score.mid"]
    assert files_below(tmp_path) == before
    assert list(store.incoming.iterdir()) == []
    assert list(store.ids()) == [kept.piece_id]


def test_a_full_disk_keeps_the_older_run_record(tmp_path, monkeypatch):
    store = Archive(tmp_path)
    folder = store.write_run(RunRecord(run_id="r", missing=1))

    def full(path, content):
        path.write_bytes(content[:3])
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(atomic, "_write_new", full)
    with pytest.raises(ArchiveError):
        store.write_run(RunRecord(run_id="r", missing=0))
    assert [path.name for path in folder.iterdir()] == ["run.json"]
    assert store.run("r").missing == 1


FILL = """
import os, sys
from scoregate.archive import catalog, query
from scoregate.archive.records import PieceReport
from scoregate.archive.store import Archive
from scoregate.archive.verify import verify
from scoregate.errors import ArchiveError
store = Archive(sys.argv[1])
ballast = os.path.join(sys.argv[1], "ballast")
with open(ballast, "wb") as file:
    file.write(bytes(500_000))
kept = 0
try:
    while True:
        files = {"score.abc": f"X:1\\nK:C\\nC|]%{kept}", "score.mid": bytes(50_000)}
        store.add(files, PieceReport(status="passed"))
        kept += 1
except ArchiveError as error:
    os.remove(ballast)
    with catalog.opened(store) as connection:
        rows = query.count(connection)
    unfinished = len(list(store.incoming.iterdir()))
    print(kept, len(list(store.ids())), rows, len(list(verify(store))), unfinished)
    print(error.problem)
"""


def test_a_really_full_disk(tmp_path):
    """On a small filesystem of its own, where the machine lets us mount one."""
    mount = f"mount -t tmpfs -o size=2m tmpfs {tmp_path}"
    command = f"{mount} && exec {sys.executable} -c '{FILL}' {tmp_path}"
    done = subprocess.run(
        ["unshare", "-rm", "sh", "-c", command], capture_output=True, text=True, cwd=ROOT
    )
    if not done.stdout:
        pytest.skip(f"can't mount here: {done.stderr.strip()[-100:]}")
    kept, there, rows, problems, unfinished = map(int, done.stdout.splitlines()[0].split())
    assert kept == there == rows > 3
    assert (problems, unfinished) == (0, 0)
    assert "No space left on device" in done.stdout


def test_a_folder_that_cannot_be_made_is_an_archive_error(tmp_path):
    (tmp_path / "out").write_text("a file stands here")
    store = Archive(tmp_path / "out")
    for attempt in (
        store.check_writable,
        lambda: store.add({"score.abc": TEXT}, passing()),
        lambda: store.write_run(RunRecord(run_id="r")),
    ):
        with pytest.raises(ArchiveError) as caught:
            attempt()
        assert "--out" in caught.value.remedy


def test_an_empty_archive_answers_and_makes_nothing(tmp_path):
    store = Archive(tmp_path / "nowhere")
    assert (list(store.ids()), store.run_ids(), store.rejected_reports("r")) == ([], [], [])
    assert not (tmp_path / "nowhere").exists()


def test_an_id_must_be_known_and_unambiguous(tmp_path):
    store = Archive(tmp_path)
    added = [store.add({"score.abc": TEXT + "%" * n}, passing()).piece_id for n in range(17)]
    shared = next(a[0] for a in added if sum(b[0] == a[0] for b in added) > 1)
    for beginning in ("f" * 64, shared, "", "zz", "../.."):
        with pytest.raises(RequestError):
            store.find(beginning)
    assert store.find(added[0]).piece_id == added[0]


def test_a_run_comes_back_with_fields_of_a_newer_minor_version(tmp_path):
    store = Archive(tmp_path)
    run = RunRecord.model_validate({"run_id": "r", "missing": 2, "later_field": [1]})
    store.write_run(run, {"report.html": "<!doctype html>"})
    read = store.run("r")
    assert read.model_dump(exclude={"files", "seal"}) == run.model_dump(exclude={"files", "seal"})
    assert list(read.files) == ["report.html"]
    assert store.run_ids() == ["r"]
    assert (tmp_path / "runs/r/report.html").read_text() == "<!doctype html>"


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b"{}", b'{"status": "fine"}', b"\xff\xfe", b'{"format": 99}']
)
def test_a_damaged_report_is_a_corrupt_error(tmp_path, content):
    store = Archive(tmp_path)
    entry = store.add({"score.abc": TEXT}, passing())
    (entry.path / "report.json").write_bytes(content)
    with pytest.raises(CorruptError):
        store.report(entry)


def test_run_ids_are_names_and_differ():
    ids = {new_run_id() for _ in range(50)}
    assert len(ids) == 50
    assert all(Archive("out").run_folder(run_id).name == run_id for run_id in ids)


def _add_all(folder: str, texts: list[str], results) -> None:
    store = Archive(folder)
    results.put([store.add({"score.abc": text, "raw.abc": text}, passing()).new for text in texts])


def test_two_processes_add_the_same_pieces_at_once(tmp_path):
    texts = [f"{TEXT}% {number}\n" for number in range(15)]
    context = multiprocessing.get_context("fork")
    results = context.Queue()
    workers = [
        context.Process(target=_add_all, args=(str(tmp_path), texts, results)) for _ in range(2)
    ]
    for worker in workers:
        worker.start()
    news = [results.get(timeout=60) for _ in workers]
    for worker in workers:
        worker.join(60)
    assert [sum(pair) for pair in zip(*news, strict=True)] == [1] * len(texts)
    store = Archive(tmp_path)
    assert len(list(store.ids())) == len(texts)
    assert list(store.incoming.iterdir()) == []


def test_a_record_says_what_the_documentation_says(tmp_path):
    store = Archive(tmp_path)
    entry = store.add({"score.abc": TEXT}, passing())
    fields = set(json.loads((entry.path / "report.json").read_text()))
    documented = (ROOT / "docs/archive.md").read_text()
    assert [
        name
        for name in sorted(fields | set(RunRecord.model_fields))
        if f"`{name}`" not in documented
    ] == []
