"""Export of pieces as a data set: Parquet and files, as Hugging Face's ``datasets`` reads them.

::

    README.md                          data set card; says which file is which split
    data/train-00000-of-00001.parquet
    data/validation-00000-of-00001.parquet
    files/<first two hex>/<piece id>/  the files of each piece, where they are asked for

Pieces that share a tune are in the same split. A tune is the opening of the first voice, by its
intervals, so that it is recognised in another key or rhythm.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
import zipfile
from collections.abc import Iterable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from scoregate.abc.reader import read
from scoregate.archive import catalog, query
from scoregate.archive.atomic import told_as_archive_error
from scoregate.archive.integrity import is_sound, read_bytes, read_report
from scoregate.archive.store import Archive
from scoregate.errors import ArchiveError

OPENING_NOTES = 12
"""Notes of the first voice that make up a tune."""

ROWS_AT_ONCE = 1_000
SPLITS: tuple[str, ...] = ("train", "validation")
_FINDING_FIELDS = {
    **dict.fromkeys(("gate", "code", "severity", "message", "voice"), pa.string()),
    **dict.fromkeys(("bar", "line", "column"), pa.int32()),
}
# Lists of records: Hugging Face's `datasets` has no maps.
_MEASURE = pa.struct([("name", pa.string()), ("value", pa.float64())])
_FINDING = pa.struct(list(_FINDING_FIELDS.items()))
SCHEMA = pa.schema(
    [(name, pa.string()) for name in ("id", "status", "name", "title", "style", "period",
                                      "composer", "instrumentation", "key", "metre")]
    + [("bars", pa.int32()), ("voices", pa.int32()), ("tempo", pa.float64())]
    + [(name, pa.string()) for name in ("abc", "raw", "tune", "run_id", "model", "weights")]
    + [("seed", pa.int64()), ("temperature", pa.float64()), ("top_k", pa.int32()),
       ("top_p", pa.float64()), ("created_utc", pa.string())]
    + [("measures", pa.list_(_MEASURE)), ("findings", pa.list_(_FINDING))]
)  # fmt: skip


def export_dataset(
    store: Archive,
    target: Path,
    wanted: query.Filter,
    *,
    validation: float = 0.1,
    files: bool = True,
) -> dict[str, int]:
    """Write pieces as a data set; return the number of pieces by split.

    Parameters
    ----------
    store : Archive
    target : Path
        A folder that does not exist yet, or a file that ends in ``.zip``.
    wanted : Filter
        Which pieces; all that passed by ``Filter(status="passed")``.
    validation : float
        Share of the tunes that are in the split ``validation``, from 0 to 1.
    files : bool
        Copy the rendered files of each piece as well.

    Raises
    ------
    ArchiveError
        The target is there already or can't be written, or a piece is damaged.
    """
    if target.exists():
        raise ArchiveError(f"{target} is there already.", "Name another folder or file.")
    with told_as_archive_error(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        work = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
        try:
            counts = _write(store, work, wanted, validation, files)
            (work / "README.md").write_text(_card(counts, validation), encoding="utf-8")
            if target.suffix == ".zip":
                packed = work.with_suffix(".zip")
                _zip(work, packed)
                packed.rename(target)
            else:
                work.chmod(0o755)
                work.rename(target)
        finally:
            shutil.rmtree(work, ignore_errors=True)
    return counts


def tune_of(abc: str) -> str:
    r"""Return the tune of a piece: the intervals of its first voice's opening, in semitones.

    Examples
    --------
    >>> in_c, in_d = "X:1\nL:1/4\nK:C\nCDEF|GABc|]", "X:1\nL:1/8\nK:D\nDEFG|ABcd|]"
    >>> tune_of(in_c), tune_of(in_c) == tune_of(in_d)
    ('2 2 1 2 2 2 1', True)
    """
    pitches: list[int] = []
    voices = read(abc).voices
    for bar in voices[0].bars if voices else ():
        for event in bar.events:
            if event.pitches and not event.grace and event.overlay == 0 and not event.tied_pitches:
                pitches.append(max(event.pitches))
        if len(pitches) > OPENING_NOTES:
            break
    opening = pitches[: OPENING_NOTES + 1]
    return " ".join(str(b - a) for a, b in pairwise(opening))


def split_of(tune: str, validation: float) -> str:
    """Return the split of a tune: the same for the same tune, in every export."""
    share = int(hashlib.sha256(tune.encode()).hexdigest()[:12], 16) / 16**12
    return "validation" if share < validation else "train"


def _write(
    store: Archive, work: Path, wanted: query.Filter, validation: float, files: bool
) -> dict[str, int]:
    (work / "data").mkdir()
    counts = dict.fromkeys(SPLITS, 0)
    writers = {
        split: pq.ParquetWriter(work / "data" / f"{split}-00000-of-00001.parquet", SCHEMA)
        for split in SPLITS
    }
    pending: dict[str, list[dict[str, Any]]] = {split: [] for split in SPLITS}
    try:
        for row in _rows(store, wanted):
            split = split_of(row["tune"], validation)
            counts[split] += 1
            if files:
                _copy_files(store.out / row["folder"], work / "files", row["id"])
            pending[split].append(row)
            if len(pending[split]) == ROWS_AT_ONCE:
                writers[split].write_table(_table(pending[split]))
                pending[split] = []
        for split in SPLITS:
            writers[split].write_table(_table(pending[split]))
    finally:
        for writer in writers.values():
            writer.close()
    return counts


def _rows(store: Archive, wanted: query.Filter) -> Iterator[dict[str, Any]]:
    with catalog.opened(store) as connection:
        found = query.rows(connection, wanted, sort="oldest")
    for row in found:
        folder = store.out / row["folder"]
        if not is_sound(folder, row["text_sha256"]):
            raise ArchiveError(
                f"{folder} is damaged, so nothing was exported.",
                "See what is wrong with `scoregate archive verify`.",
            )
        report = read_report(folder)
        abc = read_bytes(folder / "score.abc").decode("utf-8", "replace")
        raw = folder / "raw.abc"
        period, composer, instrumentation = _style_parts(row["style"])
        yield {
            **row,
            "period": period,
            "composer": composer,
            "instrumentation": instrumentation,
            "abc": abc,
            "raw": read_bytes(raw).decode("utf-8", "replace") if raw.exists() else None,
            "tune": tune_of(abc),
            "measures": [{"name": name, "value": value} for name, value in report.measures.items()],
            "findings": [finding.model_dump() for finding in report.findings],
        }


def _table(rows: list[dict[str, Any]]) -> pa.Table:
    narrow = [{name: row.get(name) for name in SCHEMA.names} for row in rows]
    for row in narrow:
        row["findings"] = [
            {name: finding.get(name) for name in _FINDING_FIELDS}
            for finding in row["findings"] or ()
        ]
    return pa.Table.from_pylist(narrow, SCHEMA)


def _style_parts(style: str) -> tuple[str, str, str]:
    parts = [part.strip() for part in style.split("/")]
    return (parts[0], parts[1], parts[2]) if len(parts) == 3 else ("", "", "")


def _copy_files(folder: Path, target: Path, identifier: str) -> None:
    place = target / identifier[:2] / identifier
    place.mkdir(parents=True)
    for path in sorted(folder.iterdir()):
        shutil.copyfile(path, place / path.name)


def _zip(folder: Path, target: Path) -> None:
    with zipfile.ZipFile(target, "x", zipfile.ZIP_DEFLATED) as archive:
        for path in _files(folder):
            # The same content gives the same bytes: no times of day in the file.
            entry = zipfile.ZipInfo(path.relative_to(folder).as_posix())
            entry.external_attr = 0o644 << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, path.read_bytes())


def _files(folder: Path) -> Iterable[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def _card(counts: dict[str, int], validation: float) -> str:
    configs = [
        {"config_name": "default", "data_files": [
            {"split": split, "path": f"data/{split}-*.parquet"} for split in SPLITS]}
    ]  # fmt: skip
    return (
        "---\n"
        # JSON is YAML too.
        f"configs: {json.dumps(configs)}\n"
        "tags: [music, abc-notation]\n"
        "---\n\n"
        "# Pieces exported by Scoregate\n\n"
        f"{counts['train']} pieces in `train` and {counts['validation']} in `validation`. Pieces "
        f"with the same tune (the intervals of the first voice's first {OPENING_NOTES + 1} notes) "
        f"are in the same split; {validation:.0%} of the tunes are in `validation`.\n\n"
        "`abc` is the finished text, `raw` the text as the model wrote it, `measures` and "
        "`findings` what the gates said. Rendered files are in `files/`, where exported.\n"
    )
