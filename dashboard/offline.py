"""The player's files for pages that open from disk, where nothing can be fetched.

A page that was opened from disk may not fetch files, so the sound font and the synthesiser's
worklet are one script (``vendor/sound.js``), and each page holds its own MIDI.
"""

from __future__ import annotations

import base64
import json
from functools import lru_cache
from pathlib import Path

from scoregate.archive.atomic import write_file

FOLDER = Path(__file__).parent / "app"
SYNTHESISER = "vendor/spessasynth-4.3.14.min.js"
SOUND = "vendor/sound.js"
PLAYER = "static/player.js"
SCRIPT_SOURCES = "'self' file: data: 'wasm-unsafe-eval'"
"""What a page with the player must allow as sources of scripts in its policy."""
_LICENCES = ("LICENSE-FluidR3Mono.md", "LICENSE-spessasynth.txt", "LICENSE-stb-vorbis.txt")


@lru_cache(maxsize=1)
def player_files() -> dict[str, bytes]:
    """Return the player, the synthesiser and the sound font with their licences, by path."""
    worklet = (FOLDER / "vendor/spessasynth-worklet-4.3.22.min.js").read_text("utf-8")
    font = base64.b64encode((FOLDER / "vendor/fluidr3-40.sf3").read_bytes()).decode()
    sound = f"window.scoregateFiles={{worklet:{json.dumps(worklet)},font:{json.dumps(font)}}};"
    found = {name: (FOLDER / name).read_bytes() for name in (SYNTHESISER, PLAYER)}
    found |= {f"vendor/{name}": (FOLDER / "vendor" / name).read_bytes() for name in _LICENCES}
    return {**found, SOUND: sound.encode()}


def write_player(folder: Path) -> None:
    """Write the player's files into a folder, where they are missing or of another version.

    Raises
    ------
    ArchiveError
        Something can't be written.
    """
    for name, content in player_files().items():
        path = folder / name
        if not path.is_file() or path.stat().st_size != len(content):
            write_file(path, content)
