"""The dashboard with 100,000 pieces: time of each page on the server, of the first bar and sound.

Usage::

    python benchmarks/dashboard.py [--pieces 100000] [--output benchmarks/results/dashboard.txt]
        [--archive FOLDER]

The catalog is filled with synthetic rows: 100,000 pieces in 5,000 runs, 24 measures and six
findings each, and 2,000 ratings. A dozen pieces have real files, so that their pages engrave
and play. Times on the server are those of the dashboard as it is served, from the request to
the last byte, by one client; each address is asked for 40 times after one that warms it up.
The processor time is the server's own, a request: other work on the machine does not change it
much.
The browser's times need Chromium and playwright; without them they are left out.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import random
import shutil
import sqlite3
import statistics
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

import browser
import dashboard_archive

from scoregate.archive import catalog
from scoregate.archive.reviews import Reviews
from scoregate.archive.store import Archive

REPEATS = 40
STYLES = [f"{period}/Composer {number}/{kind}" for period in ("Baroque", "Classical", "Romantic")
          for number in range(12) for kind in ("Keyboard", "Chamber", "Orchestral")]  # fmt: skip
CODES = ["bars.voices-disagree", "bars.too-short", "ranges.out-of-range", "repetition.loop",
         "syntax.unreadable", "novelty.copy"]  # fmt: skip
WARNINGS = ["harmony.parallel-fifths", "harmony.parallel-octaves", "ranges.uncomfortable"]
MEASURES = [f"measures.synthetic_{number}" for number in range(20)]
MEASURES += ["repetition.loop_share", "bars.count", "harmony.parallels", "novelty.shared_bars"]


def fill(out: Path, pieces: int) -> None:
    """Fill the catalog of an archive with synthetic rows, and note ratings.

    Parameters
    ----------
    out : Path
        Holds a small archive already.
    pieces : int
    """
    chance = random.Random(1)
    with catalog.opened(Archive(out)) as reading:
        columns = [row[1] for row in reading.execute("PRAGMA table_info(pieces)")]
    db = sqlite3.connect(catalog.of(Archive(out)).path, isolation_level=None)
    db.execute("PRAGMA synchronous = OFF")
    db.execute("BEGIN")
    marks = ",".join("?" * len(columns))
    for number in range(1000, 1000 + pieces):
        text = f"{chance.getrandbits(256):064x}"
        run = f"20260101-{(number // 20) % 1_000_000:06d}-abcdef"
        passed = chance.random() < 0.7
        style = chance.choice(STYLES)
        key = chance.choice(["C major", "G minor", "E flat major"])
        bars = chance.randint(8, 200)
        values = {
            "number": number, "id": text if passed else f"{text}.{run}", "text_sha256": text,
            "status": "passed" if passed else "rejected",
            "name": f"{style.split('/')[2]} piece in {key}, {bars} bars",
            "title": f"Title {chance.getrandbits(40):x}" if number % 3 else "", "style": style,
            "run_id": run, "round": 1, "seed": number, "key": key, "metre": "4/4", "bars": bars,
            "voices": 4, "tempo": 90.0, "model": "notagen", "weights": f"weights-{number % 3}",
            "weights_sha256": "0" * 64, "temperature": (0.8, 1.0, 1.2)[number % 3], "top_k": 9,
            "top_p": 0.9, "resampled_lines": 0, "warnings": 3,
            "created_utc": f"2026-{number % 12 + 1:02d}-{number % 28 + 1:02d}T00:00:00+00:00",
            "folder": f"archive/pieces/{text[:2]}/{text}",
        }  # fmt: skip
        db.execute(
            f"INSERT INTO pieces VALUES ({marks})", [values.get(name, "") for name in columns]
        )
        db.execute(
            "INSERT INTO piece_search (rowid, name, title, style) VALUES (?, ?, ?, ?)",
            (number, values["name"], values["title"], style),
        )
        found = [("critical", chance.choice(CODES))] * (0 if passed else 3)
        found += [("warning", chance.choice(WARNINGS)) for _ in range(3)]
        db.executemany(
            "INSERT INTO findings VALUES (?, ?, ?, ?, ?, '1', 3, 12, 4, 'said')",
            [(number, i, code.split(".")[0], code, severity)
             for i, (severity, code) in enumerate(found)],
        )  # fmt: skip
        db.executemany(
            "INSERT INTO measures VALUES (?, ?, ?)",
            [(number, name, chance.random()) for name in MEASURES],
        )
    record = {
        "request": {"count": 20, "temperature": 1.0, "repair_lines": True},
        "engine": {"weights": {"name": "weights-0"}},
        "rounds": [{"round": 1, "drawn": 20, "passed": 14, "rejected": 6, "not_judged": 0,
                    "seeds": list(range(20)), "seconds": {"generate": 40.0, "judge": 3.0}}],
        "notes": [],
    }  # fmt: skip
    for number in range(pieces // 20):
        record["request"]["style"] = STYLES[number % len(STYLES)]
        db.execute(
            "INSERT OR REPLACE INTO runs VALUES (?, ?, ?, ?, 'finished', 20, 14, 6, 0, 0, 45.0, ?)",
            (f"20260101-{number:06d}-abcdef", f"2026-01-01T{number % 24:02d}:00:00+00:00", None,
             STYLES[number % len(STYLES)], json.dumps(record)),
        )  # fmt: skip
    db.execute("COMMIT")
    texts = [row[0] for row in db.execute("SELECT text_sha256 FROM pieces LIMIT 2000")]
    db.close()
    reviews = Reviews(out)
    reviews.make()
    for position, text in enumerate(texts):
        reviews.rate("ann", text, position % 5 + 1)


def addresses(out: Path) -> dict[str, str]:
    """Return what is measured: a name and an address."""
    piece = dashboard_archive.ids(out)[0]
    rejected = dashboard_archive.ids(out, "rejected")[0]
    run = dashboard_archive.RUNS[0]
    return {
        "overview": "/",
        "pieces": "/pieces",
        "pieces, page 150": "/pieces?page=150",
        "rejected": "/pieces?verdict=rejected",
        "by finding": "/pieces?finding=bars.too-short",
        "by warning": "/pieces?finding=harmony.parallel-fifths&sort=warnings",
        "by measure": "/pieces?measure=repetition.loop_share&low=0.2&high=0.3",
        "by style and date": "/pieces?style=Romantic%2FComposer+3%2FChamber&since=2026-06-01",
        "not rated, by name": "/pieces?rating=open&sort=name",
        "best rated": "/pieces?sort=rating",
        "by temperature and weights": "/pieces?temperature=1.2&weights=weights-2",
        "search, many hits": "/pieces?q=minor",
        "search, two words": "/pieces?q=Orchestral+flat+major",
        "search, few hits": "/pieces?q=abcde",
        "search, no hit": "/pieces?q=nothinglikethis",
        "search by two letters": "/pieces?q=zz",
        "piece": f"/pieces/{piece}",
        "piece in a filter": f"/pieces/{rejected}?verdict=rejected&finding=bars.voices-disagree",
        "piece in a search by name": f"/pieces/{piece}?q=major&sort=name",
        "piece: engraved page": f"/pieces/{piece}/engraving/1",
        "piece: timeline": f"/pieces/{piece}/timeline.json",
        "piece: measures": f"/pieces/{piece}/context",
        "review": f"/review/{piece}?rating=open",
        "A/B": "/ab?style=Baroque%2FBach%2C+Johann+Sebastian%2FChoral",
        "run": f"/runs/{run}",
        "compare styles": "/compare?by=style",
        "compare weights": "/compare?by=weights",
        "start a run": "/start",
        "exports": "/exports",
    }


def asked(address: str) -> float:
    """Return the milliseconds from a request to the last byte of its answer."""
    start = time.perf_counter()
    with urllib.request.urlopen(address, timeout=60) as answer:
        answer.read()
    return (time.perf_counter() - start) * 1000


def memory_mb(pid: int) -> float:
    """Return the most resident memory that a process has had."""
    text = Path(f"/proc/{pid}/status").read_text()
    (line,) = [line for line in text.splitlines() if line.startswith("VmHWM")]
    return int(line.split()[1]) / 1024


def processor_ms(pid: int) -> float:
    """Return the processor time that a process has used, in milliseconds."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) * 1000 / os.sysconf("SC_CLK_TCK")


def in_browser(address: str) -> list[str]:
    """Return lines on the first engraved bar after a click, and the first sound after a key."""
    if not browser.executable():
        return ["no Chromium here: the browser's times are left out"]
    bars, sounds, keys = [], [], []
    with browser.chromium() as chromium:
        tab = chromium.new_page(viewport={"width": 1280, "height": 900})
        for _ in range(8):
            tab.goto(f"{address}/pieces?run={dashboard_archive.RUNS[0]}&verdict=passed")
            start = time.perf_counter()
            tab.locator("table.list th a").first.click()
            tab.locator('.measure[data-bar="1"]').wait_for(state="attached")
            bars.append((time.perf_counter() - start) * 1000)
            tab.locator("[data-play]:not([disabled])").wait_for()
            tab.evaluate("window.scoregatePlayer.isReady()")
            sounds.append(tab.evaluate("""() => new Promise((done) => {
              const start = performance.now();
              const look = () => window.scoregatePlayer.level() > 0.001
                ? done(performance.now() - start) : setTimeout(look, 2);
              document.dispatchEvent(new KeyboardEvent('keydown', { key: ' ', bubbles: true }));
              look();
            })"""))  # fmt: skip
            tab.keyboard.press(" ")
            start = time.perf_counter()
            tab.locator("a[rel=next]").wait_for()
            before = tab.url
            tab.keyboard.press("j")
            tab.wait_for_url(lambda url, before=before: url != before)
            tab.locator('.measure[data-bar="1"]').wait_for(state="attached")
            keys.append((time.perf_counter() - start) * 1000)
    return [
        f"{name:<44}{statistics.median(values):8.0f} ms{max(values):8.0f} ms"
        for name, values in (
            ("first engraved bar after the click", bars),
            ("sound after the key, font loaded", sounds),
            ("next piece's first bar after the key j", keys),
        )
    ]


def main() -> None:
    """Fill, serve, ask, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pieces", type=int, default=100_000)
    parser.add_argument("--output", type=Path)
    parser.add_argument("--archive", type=Path, help="folder to fill once and use again")
    options = parser.parse_args()
    folder = options.archive or Path(tempfile.mkdtemp(prefix="scoregate-dashboard-"))
    try:
        if not (folder / "archive").exists():
            dashboard_archive.fill(folder)
            fill(folder, options.pieces)
        lines = [
            f"{options.pieces:,} pieces, {platform.machine()}, Python {platform.python_version()}, "
            f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f} from other work",
            "",
            f"{'page on the server':<44}{'median':>11}{'95 %':>11}{'processor':>12}",
        ]
        with browser.dashboard(folder) as (address, process):
            worst = 0.0
            for name, path in addresses(folder).items():
                asked(address + path)
                before = processor_ms(process.pid)
                times = sorted(asked(address + path) for _ in range(REPEATS))
                own = (processor_ms(process.pid) - before) / REPEATS
                late = times[int(0.95 * len(times))]
                worst = max(worst, late)
                lines.append(
                    f"{name:<44}{statistics.median(times):8.0f} ms{late:8.0f} ms{own:9.0f} ms"
                )
            lines += ["", f"slowest page at the 95th percentile: {worst:.0f} ms"]
            lines += [f"memory of the server at most: {memory_mb(process.pid):.0f} MB", ""]
            lines += [f"{'in the browser':<44}{'median':>11}{'most':>11}", *in_browser(address)]
        text = "\n".join(lines) + "\n"
        print(text, end="")
        if options.output:
            options.output.write_text(text)
    finally:
        if options.archive is None:
            shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
