"""Read the theme of variations: find it, check it, and make the request of its variations."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, replace
from pathlib import Path

from prefect import task
from prefect.cache_policies import NO_CACHE

from scoregate import styles
from scoregate.abc.finish import finish
from scoregate.archive.store import Archive
from scoregate.convert.abc_text import decode_abc, read_abc
from scoregate.convert.files import SUFFIXES, convert_file
from scoregate.convert.piece import ConversionError, Piece, aligned, piece_text
from scoregate.errors import RequestError, UnreadableError
from scoregate.notagen.text import theme as themes
from scoregate.notagen.weights import find, open_checkpoint, trained_styles, weights_for
from scoregate.piece import piece_id
from scoregate.requests import ForcedTheme, ProduceRequest, VaryRequest
from scoregate.styles import Style
from scoregate.validators.analysis.instruments import resolve
from scoregate.validators.examination import examine

GATES = ("syntax", "bars", "ranges")
"""Gates that a theme must pass: a piece that holds what they reject can't pass either."""
_FAMILIES = {
    "Choral": frozenset(("voice",)),
    "Keyboard": frozenset(("keyboard",)),
    "Art Song": frozenset(("voice", "keyboard")),
}
"""Families of the instruments that a style's pieces have; other styles have all of them."""
_PIECE_ID = re.compile(r"[0-9a-f]{4,64}")
_NAME = re.compile(r'nm="([^"]*)"')
_HEADER = "X:1\nM:4/4\nL:1/8\nK:C\n"


@dataclass(frozen=True, slots=True)
class Theme:
    """A theme that has been read, and the request that makes pieces of it.

    Attributes
    ----------
    request : ProduceRequest
        With the style in full and the theme as it is forced.
    text : str
        The chosen bars with all their voices, as ABC.
    """

    request: ProduceRequest
    text: str


@dataclass(frozen=True, slots=True)
class Source:
    """A theme as it was handed in.

    Attributes
    ----------
    name : str
        For messages and records.
    text : str
        ABC; empty for a file of another format.
    path : str
        A file of another format; else empty.
    parent : str
        Id of the piece of the archive that it is; else empty.
    """

    name: str
    text: str = ""
    path: str = ""
    parent: str = ""


def prepare(request: VaryRequest) -> Theme:
    """Read and check the theme of a request.

    Raises
    ------
    RequestError, UnreadableError
        The theme can't be found, is not valid, is too long or for other instruments; an unknown
        style; bars outside the theme.
    """
    request = request.model_copy(
        update={"style": str(request.in_full(trained_styles(request.weights)).style)}
    )
    style = styles.parse(request.style)
    source = find_theme(request.theme, Archive(request.out))
    whole = _as_piece(source)
    chosen = themes.choose_bars(whole, request.bars)
    if request.reharmonise:
        if not themes.is_chorale(style):
            raise RequestError(
                f"A melody can be harmonised in a style of four singers, not in {style}.",
                "Take a style such as 'Baroque/Bach, Johann Sebastian/Choral'.",
            )
        text = themes.soprano(chosen)
    else:
        _check_instruments(chosen, style)
        text = themes.opening(chosen, style)
    heard = melody_alone(text) if request.reharmonise else f"X:1\n{text}"
    _check_valid(heard, source.name, str(style))
    forced_as = "voice" if request.reharmonise else "opening"
    context = open_checkpoint(find(request.weights or weights_for(str(style)))).shape.length
    themes.check_length(text, style, forced_as, context)
    first, last = themes.bar_range(request.bars, whole.bar_count)
    forced = ForcedTheme(
        text=text,
        forced_as=forced_as,
        parent=source.parent or piece_id(source.text or piece_text(whole)),
        name=source.name,
        bars=f"{first}-{last}",
    )
    return Theme(request.production(forced), f"X:1\n{piece_text(chosen)}")


def find_theme(theme: str, store: Archive) -> Source:
    """Find what a theme is: a file, a piece of the archive, or ABC.

    Raises
    ------
    RequestError
        It is none of them, or no piece or several pieces have such an id.
    UnreadableError
        A file of no format that can be read.
    """
    typed = theme.replace("\\n", "\n") if "\n" not in theme else theme
    if not typed.strip():
        raise RequestError("The theme is empty.", "Give a file, a piece's id, or ABC.")
    if "\n" not in typed and _is_file(theme):
        ending = Path(theme).suffix.lower()
        if ending == ".abc":
            text = finish(decode_abc(Path(theme).read_bytes())).text
            return Source(name=Path(theme).name, text=text)
        if ending not in SUFFIXES:
            raise UnreadableError(
                f"{theme} is not a score by its ending.",
                f"These can be read: {', '.join(SUFFIXES)}.",
            )
        return Source(name=Path(theme).name, path=theme)
    if _PIECE_ID.fullmatch(theme):
        entry = store.find(theme)
        text = (entry.path / "score.abc").read_text(encoding="utf-8")
        return Source(name=f"piece {entry.piece_id[:12]}", text=text, parent=entry.piece_id)
    if "\n" in typed or "|" in typed:
        has_key = re.search(r"^K:", typed, re.MULTILINE)
        text = finish(typed if has_key else _HEADER + typed).text
        return Source(name="typed ABC", text=text)
    raise RequestError(
        f"There is no theme {theme!r:.100}.",
        "Give a file, the beginning of a piece's id (`scoregate archive ls`), or ABC such as "
        "'K:G\\nG2 A2 B4|'.",
    )


@task(name="read theme", cache_policy=NO_CACHE)
def read_theme(request: VaryRequest) -> Theme:
    """Read and check the theme; raises as :func:`prepare` does."""
    return prepare(request)


def melody_alone(text: str) -> str:
    """Return the forced text of a soprano as a tune of one voice, without the other singers."""
    lines = [line for line in text.splitlines() if not re.match(r"V:[2-9]|%%score", line)]
    return "X:1\n" + "\n".join(lines) + "\n"


def _is_file(theme: str) -> bool:
    try:
        return os.path.isfile(theme)
    except ValueError:  # a NUL byte
        return False


def _as_piece(source: Source) -> Piece:
    """Return the theme with the bars of all its voices."""
    if source.text:
        _check_valid(source.text, source.name, None)
    try:
        if source.path:
            return convert_file(Path(source.path))
        return aligned(read_abc(source.text, source.name))
    except ConversionError as error:
        raise UnreadableError(
            f"The theme {source.name} can't be read: {error}.",
            "Every voice needs the same bars, of the same length; `scoregate check` finds others.",
        ) from None


def _check_valid(text: str, name: str, style: str | None) -> None:
    """Refuse a text that the gates of syntax, bars and ranges reject.

    Parameters
    ----------
    text : str
    name : str
        Of the theme.
    style : str or None
        None for the theme as it was handed in, whose ranges are not judged.
    """
    gates = GATES if style else GATES[:2]
    profile = "notagen" if style else None
    seen = examine(text, style=style, gates=gates, profile=profile)
    for finding in seen.findings:
        if finding.severity == "critical":
            if style:  # Its lines are those of the forced text, which nobody has seen.
                finding = replace(finding, line=None, column=None)
            raise RequestError(
                f"The theme {name} is not valid: {finding}.",
                "Correct it, or choose other bars with --bars; `scoregate check` says more.",
            )


def _check_instruments(piece: Piece, style: Style) -> None:
    """Refuse a theme for other instruments than the style's pieces have."""
    allowed = _FAMILIES.get(style.instrumentation)
    if allowed is None:
        return
    for head in piece.heads.values():
        match = _NAME.search(head)
        meant = resolve(match[1]) if match else ()
        if meant and not any(one.family in allowed for group in meant for one in group):
            assert match is not None
            raise RequestError(
                f"The theme is for {match[1]}, and {style.instrumentation} pieces are for "
                f"{' and '.join(sorted(allowed))}.",
                "Take another style, or --reharmonise, which keeps the first voice's notes alone.",
            )
