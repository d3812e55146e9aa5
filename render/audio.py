"""An audio preview, where the machine has fluidsynth and a soundfont.

Both are Debian packages (``fluidsynth``, ``timgm6mb-soundfont``) and optional. Without them a note
of the piece says what is missing.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from functools import cache
from pathlib import Path

LIMIT_S = 60
MAX_BYTES = 8 << 20
"""A larger preview is left out, because it would be larger than the rest of the piece's files."""

_FOLDERS = ("/usr/share/sounds/sf2", "/usr/share/soundfonts", "/usr/local/share/soundfonts")


def preview(midi: bytes) -> tuple[str, bytes, str]:
    """Return a MIDI file as a small audio file.

    Returns
    -------
    name : str
        ``preview.ogg``.
    content : bytes
        Empty when there is none.
    reason : str
        Why there is none.
    """
    program = shutil.which("fluidsynth")
    if program is None:
        return "", b"", "fluidsynth is not installed"
    soundfont = _soundfont()
    if soundfont is None:
        return "", b"", f"no soundfont (*.sf2) in {', '.join(_FOLDERS)}"
    with tempfile.TemporaryDirectory(prefix="scoregate-") as folder:
        source, target = Path(folder, "score.mid"), Path(folder, "preview.ogg")
        source.write_bytes(midi)
        command = [program, "-niq", "-r", "32000", "-g", "0.6", "-T", "oga", "-F", str(target),
                   str(soundfont), str(source)]  # fmt: skip
        try:
            finished = subprocess.run(
                command, stdin=subprocess.DEVNULL, capture_output=True, timeout=LIMIT_S
            )
        except subprocess.TimeoutExpired:
            return "", b"", f"fluidsynth took longer than {LIMIT_S} s"
        if finished.returncode or not target.is_file() or not target.stat().st_size:
            said = finished.stderr.decode("utf-8", "replace").strip()[-200:]
            return "", b"", f"fluidsynth failed ({finished.returncode}): {said}"
        if target.stat().st_size > MAX_BYTES:
            return "", b"", f"it would be {target.stat().st_size >> 20} MB"
        return target.name, target.read_bytes(), ""


@cache
def _soundfont() -> Path | None:
    found = [path for folder in _FOLDERS for path in sorted(Path(folder).glob("*.sf2"))]
    return found[0] if found else None
