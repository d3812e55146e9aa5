"""The archive at scale: how fast pieces are added, and how fast the catalog answers.

    python benchmarks/archive_scale.py --pieces 100000 --output benchmarks/results/archive_scale.md

Fills an archive in a temporary folder with synthetic pieces that have the findings, measures and
files of a chorale, in batches of a hundred, and times adding at the beginning and at the end, then
the queries that lists and the dashboard ask. Pieces between the timed blocks have no rendered
files. ``--file-bytes`` sets the size of the rendered files; the default is small, because the
number of files and not their size is what is measured. With ``SCOREGATE_DATABASE`` set, the catalog
is in PostgreSQL. ``--catalog-only`` inserts rows without any folders, which takes a minute or two
instead of ten, and times the queries alone.

In PostgreSQL, ``VACUUM (ANALYZE)`` runs between the inserts and the queries. Autovacuum does the
same by itself within a minute or two of so many inserts; without it, queries that an index could
answer alone read the rows as well.

Each time is given twice, by the clock and as processor time: on a machine that does other work as
well, the second is what a quiet machine would need. It is that of this process, and of the
PostgreSQL process that answers it, where that one runs on this machine.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import random
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from machine import describe

from scoregate.archive import catalog, postgres, query, schema
from scoregate.archive.dialects import Connection
from scoregate.archive.query import Filter
from scoregate.archive.records import FindingRecord, PieceReport, RunRecord, now
from scoregate.archive.store import Archive

BATCH = 100
BLOCK = 1_000
STYLES = (
    "Baroque/Bach, Johann Sebastian/Choral",
    "Baroque/Handel, George Frideric/Keyboard",
    "Classical/Haydn, Joseph/Chamber",
    "Romantic/Brahms, Johannes/Art Song",
)
MEASURES = (
    *("syntax.notes_read", "syntax.notes_heard", "bars.count", "bars.equal", "bars.full"),
    *("ranges.out", "ranges.uncomfortable", "ranges.unknown_voices", "repetition.loop_share"),
    *("repetition.recurrence", "repetition.copies", "measures.notes", "measures.pitch_entropy"),
    *("measures.pitch_class_entropy", "measures.scale_consistency", "measures.key_clarity"),
    *("measures.groove_consistency", "measures.transition_entropy", "measures.key_margin"),
    *("measures.harmony_fit", "harmony.crossings", "harmony.parallels", "novelty.shared_bars"),
    "novelty.melody_bars",
)
QUERIES: dict[str, tuple[Filter, dict]] = {
    "newest 50": (Filter(), {}),
    "newest 50 that passed": (Filter(status="passed"), {}),
    "page 1,000 of all": (Filter(), {"offset": 50_000}),
    "style contains 'bach', passed": (Filter(style="bach", status="passed"), {}),
    "one run": (Filter(run_id="run-7"), {}),
    "a finding": (Filter(finding="bars.short"), {}),
    "a measure's range": (Filter(measures={"measures.pitch_entropy": (4.5, 4.6)}), {}),
    "a measure's range, wide": (Filter(measures={"measures.pitch_entropy": (0.0, 9.0)}), {}),
    "sorted by a measure": (Filter(), {"sort": "-measure:measures.pitch_entropy"}),
    "search: rare words": (Filter(text="opus 7777"), {}),
    "search: frequent words": (Filter(text="minor"), {}),
    "search: beginning of an id": (Filter(text="3fa9c"), {}),
}


def piece(number: int, rng: random.Random, file_bytes: int) -> tuple[dict, PieceReport]:
    """Return the files and the report of a synthetic piece."""
    text = f"X:1\nL:1/4\nK:Em\n% {number}\n" + "[V:1]CDEF|[V:2]CDEF|\n" * 40
    failed = rng.random() < 0.3
    findings = [
        FindingRecord(gate="harmony", code=f"harmony.parallel-{rng.choice(('fifths', 'octaves'))}",
                      severity="warning", message="parallel fifths with voice 4", voice="2",
                      bar=bar, line=bar + 12, column=31)
        for bar in range(10)
    ]  # fmt: skip
    if failed:
        code = rng.choice(("bars.short", "bars.long"))
        message = "7/8 found, 3/4 expected"
        findings.append(FindingRecord(gate="bars", code=code, message=message, voice="1", bar=3))
    report = PieceReport(
        status="rejected" if failed else "passed",
        style=rng.choice(STYLES),
        title=f"Opus {number}",
        run_id=f"run-{number // 1000}",
        round=1,
        summary={"bars": rng.randint(8, 40), "voices": 4, "key": rng.choice(("Em", "G", "Bb")),
                 "metre": "4/4", "tempo": "1/4=80"},
        provenance={"weights": {"name": "chorales", "sha256": "ab" * 32}, "seed": number,
                    "temperature": 1.0, "top_k": 9, "top_p": 0.9},
        findings=findings,
        measures={name: rng.gauss(4, 1) for name in MEASURES},
    )  # fmt: skip
    content = hashlib.sha256(text.encode()).digest() * (file_bytes // 32)
    files = {"score.abc": text, "raw.abc": text, "score.mid": content, "score.musicxml": content,
             "score-1.svg": content}  # fmt: skip
    return files, report


def fill(store: Archive, first: int, count: int, file_bytes: int) -> tuple[float, float]:
    """Add pieces; return the seconds that adding took, by the clock and of the processor.

    With ``file_bytes`` 0 the pieces have no rendered files.
    """
    rng = random.Random(first)
    clock = processor = 0.0
    for start in range(first, first + count, BATCH):
        batch = [piece(number, rng, file_bytes) for number in range(start, start + BATCH)]
        if not file_bytes:
            batch = [({"score.abc": files["score.abc"]}, report) for files, report in batch]
        began = time.perf_counter(), time.process_time()
        store.add_all(batch)
        clock += time.perf_counter() - began[0]
        processor += time.process_time() - began[1]
    return clock, processor


def timed(
    work: Callable[[], object], spent: Callable[[], float] = time.process_time, repeats: int = 20
) -> tuple[str, float]:
    """Return the times of some calls as text: median by the clock, median of the processor.

    The second result is the 95th percentile of the processor's, in milliseconds.
    """
    clock, processor = [], []
    for _ in range(repeats):
        began = time.perf_counter(), spent()
        work()
        clock.append(1000 * (time.perf_counter() - began[0]))
        processor.append(1000 * (spent() - began[1]))
    text = f"{statistics.median(clock):.1f} | {statistics.median(processor):.1f}"
    return text, sorted(processor)[int(0.95 * repeats) - 1]


def main() -> None:
    """Run the benchmark and print or write its table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--pieces", type=int, default=100_000)
    parser.add_argument("--file-bytes", type=int, default=2_048)
    parser.add_argument("--catalog-only", action="store_true")
    parser.add_argument("--folder", help="where to make the archive; the temporary folder else")
    parser.add_argument("--output", type=Path)
    arguments = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="scoregate-archive-", dir=arguments.folder))
    try:
        store = Archive(folder)
        if arguments.catalog_only:
            report = measured_catalog(store, arguments.pieces)
        else:
            report = measured(store, arguments.pieces, arguments.file_bytes)
    finally:
        shutil.rmtree(folder)
    print(report)
    if arguments.output:
        arguments.output.write_text(report, encoding="utf-8")


def measured(store: Archive, pieces: int, file_bytes: int) -> str:
    """Fill an archive, time it, and return the report in Markdown."""
    lines = [
        "# The archive at scale",
        "",
        f"`python benchmarks/archive_scale.py --pieces {pieces} --file-bytes {file_bytes}`",
        "",
        describe(),
        "",
        f"## Adding, in batches of {BATCH}",
        "",
        "| pieces in the archive | pieces a second | ms of processor time a piece |",
        "|---:|---:|---:|",
    ]
    costs = []
    for first, count, size in _blocks(pieces, file_bytes):
        clock, processor = fill(store, first, count, size)
        if size:
            costs.append(1000 * processor / count)
            lines.append(f"| {first:,} | {count / clock:.0f} | {costs[-1]:.2f} |")
            print(lines[-1], flush=True)
    half = len(costs) // 2
    ends = statistics.median(costs[:half]), statistics.median(costs[half:])
    lines += [
        "",
        f"Processor time at the end against the beginning: {ends[1] / ends[0]:.2f}.",
        "",
        "| | ms by the clock | ms of processor time |",
        "|---|---:|---:|",
        f"| one piece alone | {timed(lambda: _single(store, file_bytes))[0]} |",
    ]
    run = RunRecord(run_id="run-0", request={"style": STYLES[0], "count": 1000})
    lines.append(f"| the record of a run | {timed(lambda: store.write_run(run))[0]} |")
    lines.append(f"| opening the catalog | {timed(lambda: catalog.connect(store).close())[0]} |")
    if os.environ.get(postgres.SETTING):
        _vacuum(store)
    size = _size(store)
    lines += ["", f"The catalog has {size / 2**20:.0f} MiB, {size / pieces / 1024:.1f} kB a piece.",
              "", *_queries(store)]  # fmt: skip
    return "\n".join(lines)


def measured_catalog(store: Archive, pieces: int) -> str:
    """Fill a catalog alone, time its queries, and return the report in Markdown."""
    began = time.perf_counter(), time.process_time()
    store.begin_writing()
    rng = random.Random(1)
    for start in range(0, pieces, catalog.AT_ONCE):
        batch = [_bare_report(n, rng) for n in range(start, min(start + catalog.AT_ONCE, pieces))]
        with catalog.insertion(store) as connection:
            assert connection is not None, "the catalog was just made"
            schema.insert_pieces(connection, [(report, Path()) for report in batch])
    clock, processor = time.perf_counter() - began[0], time.process_time() - began[1]
    server = os.environ.get(postgres.SETTING)
    kind = "PostgreSQL" if server else "SQLite"
    if server:
        _vacuum(store)
    lines = [
        f"# The catalog in {kind}",
        "",
        f"`python benchmarks/archive_scale.py --pieces {pieces} --catalog-only`",
        "",
        describe(),
        "",
        f"Made and inserted in {clock:.0f} s, {processor:.0f} s of processor time of this process.",
        f"{_size(store) / 2**20:.0f} MiB, {_size(store) / pieces / 1024:.1f} kB a piece. Opening",
        f"it takes {timed(lambda: catalog.connect(store).close())[0]} ms (clock, processor).",
        "",
    ]
    return "\n".join([*lines, *_queries(store)])


def _bare_report(number: int, rng: random.Random) -> PieceReport:
    identifier = hashlib.sha256(b"%d" % number).hexdigest()
    return piece(number, rng, 0)[1].model_copy(update={"piece_id": identifier, "created": now()})


def _vacuum(store: Archive) -> None:
    """Set PostgreSQL's visibility maps and statistics, as its autovacuum does after a while."""
    with catalog.opened(store) as connection:
        connection.execute("VACUUM (ANALYZE)")


def _size(store: Archive) -> int:
    """Return the bytes of the catalog with its indexes."""
    if not os.environ.get(postgres.SETTING):
        return catalog.of(store).path.stat().st_size
    tables = ("pieces", "findings", "measures", "runs", "piece_search")
    query = f"SELECT {' + '.join(f'pg_total_relation_size({table!r})' for table in tables)}"
    return catalog.answer(store, lambda connection: connection.execute(query).fetchone()[0])


def _blocks(pieces: int, file_bytes: int) -> Iterator[tuple[int, int, int]]:
    """Yield (first, count, bytes of a file): three timed blocks, the bulk, three timed blocks."""
    bulk = pieces - 6 * BLOCK
    for block in range(3):
        yield block * BLOCK, BLOCK, file_bytes
    yield 3 * BLOCK, bulk, 0
    for block in range(3):
        yield 3 * BLOCK + bulk + block * BLOCK, BLOCK, file_bytes


def _queries(store: Archive) -> list[str]:
    lines = [
        "## Asking",
        "",
        "A page of 50, and the number of all that match, in ms.",
        "",
        "| query | page: clock | processor | 95 % | number: clock | processor | 95 % |",
        "|---|---:|---:|---:|---:|---:|---:|",
    ]
    with catalog.opened(store) as connection:
        spent = _processor_of(connection)
        for name, (wanted, options) in QUERIES.items():
            page, worst = timed(
                lambda w=wanted, o=options: query.rows(connection, w, limit=50, **o), spent
            )
            total, slowest = timed(lambda w=wanted: query.count(connection, w), spent)
            lines.append(f"| {name} | {page} | {worst:.1f} | {total} | {slowest:.1f} |")
            print(lines[-1], flush=True)
    return [*lines, ""]


def _processor_of(connection: Connection) -> Callable[[], float]:
    """Return a clock of the processor time of this process and of PostgreSQL's that answers it."""
    if not isinstance(connection, postgres.PostgresConnection):
        return time.process_time
    # In nanoseconds, and unlike /proc/PID/stat not counted in ticks.
    used = Path(f"/proc/{connection.raw.info.backend_pid}/schedstat")
    if not used.is_file():
        return time.process_time
    return lambda: time.process_time() + int(used.read_text().split()[0]) / 1e9


_next = iter(range(10**7, 10**8))


def _single(store: Archive, file_bytes: int) -> None:
    files, report = piece(next(_next), random.Random(2), file_bytes)
    store.add_all([(files, report)])


if __name__ == "__main__":
    main()
