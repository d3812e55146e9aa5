"""An archive for the tests of the dashboard: real verdicts, real files, hostile texts."""

from __future__ import annotations

import json
import re
from pathlib import Path

from scoregate.archive.names import piece_name
from scoregate.archive.records import FindingRecord, PieceReport, PieceRow, RoundRecord, RunRecord
from scoregate.archive.store import Archive
from scoregate.render.pool import Job, render_pieces
from scoregate.validators.checking import check_bytes

STYLE = "Baroque/Bach, Johann Sebastian/Choral"
RUNS = ("20261120-090000-aaaaaa", "20261121-100000-bbbbbb")
PAYLOADS = (
    "<script>window.hacked=1</script>",
    "\"'><img src=x onerror=window.hacked=2>",
    "</textarea><svg onload=window.hacked=3>",
    "{{7*7}}${7*7}<%=7*7%>",
    "javascript:window.hacked=4",
    "'; DROP TABLE events; --",
    "\u202egnp.exe\u0007\u2028",
)
CHORALE = Path(__file__).parent / "pieces" / "chorale.abc"


def texts() -> list[str]:
    """Return sixteen chorales: other tempos, and some with a bar that is too short."""
    text = CHORALE.read_text().replace("T:Chorale for tests\n", "")
    text = text.replace("( 1 2 ) ( 3 4 )", "1 2 3 4")
    made = []
    for number in range(16):
        own = text.replace("Q:1/4=80", f"Q:1/4={70 + number}")
        if number % 4 == 3:
            # The tenor's bar 7 loses an eighth note and goes down to the low F.
            own = own.replace("[V:3]C2 B,2 E2 E2|", "[V:3]C2 B,2 E2 F,,|")
        if number == 2:
            own = own.replace("X:1\n", f"X:1\nT:{PAYLOADS[0]}{PAYLOADS[1]}\n")
        if number == 3:
            own = own.replace('nm="Men"', 'nm="<b onclick=window.hacked=5>Men</b>"')
        made.append(own)
    return made


def raw_of(text: str) -> str:
    """Return a finished text as NotaGen writes it: prompt lines, no ``X:``."""
    prompt = "".join(f"%{part}\n" for part in STYLE.split("/")) + "%end\n"
    return prompt + re.sub(r"^X:1\n", "", text)


def fill(out: Path) -> Archive:
    """Make an archive of two runs with sixteen pieces, twelve of which passed."""
    store = Archive(out)
    made = texts()
    checked = [check_bytes(f"{i}.abc", raw_of(text), STYLE) for i, text in enumerate(made)]
    renderings = render_pieces(
        [Job(text=one.text, score=one.score, findings=one.findings) for one in checked], workers=2
    )
    rows: dict[str, list[PieceRow]] = {run: [] for run in RUNS}
    for number, (one, text, drawn) in enumerate(zip(checked, made, renderings, strict=True)):
        run = RUNS[number // 8]
        summary = {"bars": one.bars, "voices": one.voices, "key": "G", "metre": "4/4",
                   "tempo": f"1/4={70 + number}"}  # fmt: skip
        report = PieceReport(
            status=one.status,
            style=STYLE,
            name=piece_name(STYLE, "G", one.bars),
            title=one.score.title if one.score else "",
            run_id=run,
            round=1,
            created=f"2026-11-2{number // 8}T10:{number:02d}:00+00:00",
            summary=summary,
            provenance={
                "seed": number,
                "temperature": 1.0 if number < 8 else 1.4,
                "weights": {"name": "chorales", "sha256": "0" * 64},
                "remark": PAYLOADS[2],
            },
            findings=[FindingRecord(**finding.as_dict()) for finding in one.findings],
            measures=one.finite_measures(),
            thresholds={"measures": {"repetition.loop_share": {"side": "high", "critical": 0.25}}},
            reasons=one.reasons,
            notes=[PAYLOADS[1]] if number == 3 else [],
        )
        files: dict[str, bytes | str] = {
            "score.abc": one.text, "raw.abc": raw_of(text), **drawn.files
        }  # fmt: skip
        entry = (
            store.add(files, report) if one.status == "passed" else store.reject(run, files, report)
        )
        rows[run].append(
            PieceRow(piece_id=entry.piece_id, status=one.status, style=STYLE, seed=number, round=1)
        )
    for run, own in rows.items():
        passed = sum(row.status == "passed" for row in own)
        store.write_run(
            RunRecord(
                run_id=run,
                started=f"{run[:4]}-{run[4:6]}-{run[6:8]}T{run[9:11]}:00:00+00:00",
                finished=f"{run[:4]}-{run[4:6]}-{run[6:8]}T{run[9:11]}:05:00+00:00",
                request={
                    "style": STYLE,
                    "count": 8,
                    "temperature": 1.0 if run == RUNS[0] else 1.4,
                    "repair_lines": run == RUNS[0],
                    "seed": 5,
                },
                engine={"weights": {"name": "chorales"}},
                rounds=[
                    RoundRecord(round=1, drawn=8, passed=passed, rejected=8 - passed,
                                seconds={"generate": 20.0, "judge": 2.0})
                ],
                pieces=own,
                missing=8 - passed,
                seconds=25.0,
                notes=[PAYLOADS[0]],
            )
        )  # fmt: skip
    return store


def ids(out: Path, status: str = "passed") -> list[str]:
    """Return the text hashes of an archive's pieces with a status, sorted."""
    found = []
    for report in out.rglob("report.json"):
        content = json.loads(report.read_text())
        if content["status"] == status:
            found.append(content["piece_id"])
    return sorted(found)
