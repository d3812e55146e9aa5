"""Filling a template; values are escaped, and style and script are inside the page."""

from __future__ import annotations

import base64
import hashlib
from functools import cache
from importlib import resources
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from scoregate.dashboard import offline
from scoregate.dashboard.formatting import number
from scoregate.dashboard.inline_svg import Sheet


def fill(template: str, *, sheet: Sheet, player: str = "", **values: Any) -> str:
    """Return a page.

    Parameters
    ----------
    template : str
        ``run.html`` or ``archive_index.html``.
    sheet : Sheet
        Holds the glyphs of the engravings in ``values``.
    player : str, optional
        Address of the folder with the player's files, with a slash at the end
        (:mod:`scoregate.dashboard.offline`); empty for a page without sound.
    """
    script = Markup(_file("page.js"))
    return (
        _environment()
        .get_template(template)
        .render(
            css=Markup(_file("page.css")) + sheet.fonts,
            definitions=sheet.definitions,
            script=script,
            policy=_policy(script, playing=bool(player)),
            player=player,
            scripts=(offline.SYNTHESISER, offline.SOUND, offline.PLAYER),
            **values,
        )
    )


def _policy(script: str, playing: bool) -> str:
    """Return the Content-Security-Policy of a page: no requests, and no script but its own.

    The script is named by its hash, so that a script in a title would not run. A page with the
    player may load scripts from beside it as well.
    """
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    beside = f" {offline.SCRIPT_SOURCES}; worker-src 'self' data:" if playing else ""
    return (
        "default-src 'none'; style-src 'unsafe-inline'; img-src data:; font-src data:; "
        f"media-src 'self' file:; script-src 'sha256-{digest}'{beside}; base-uri 'none'; "
        "form-action 'none'"
    )


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader(__package__ or "", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["number"] = number
    return environment


def _file(name: str) -> str:
    return resources.files(__package__ or "").joinpath(name).read_text("utf-8")
