"""What every page shares: the archive, the templates, who the reviewer is."""

from __future__ import annotations

import getpass
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from scoregate import __version__
from scoregate.archive.reviews import MAX_REVIEWER
from scoregate.dashboard.app.engraved import Engravings
from scoregate.dashboard.app.library import Library
from scoregate.dashboard.formatting import measure_title, number

REVIEWER = "scoregate_reviewer"
FOLDER = Path(str(resources.files(__package__ or "")))


@dataclass(slots=True)
class Site:
    """The state of one dashboard.

    Attributes
    ----------
    library : Library
    engravings : Engravings
    cache : dict
        Results that are expensive and follow from the catalog alone, by name; each is kept
        with the stamp of the catalog it was computed from.
    """

    library: Library
    engravings: Engravings = field(default_factory=Engravings)
    cache: dict[Any, tuple[Any, Any]] = field(default_factory=dict)

    def remembered(self, key: Any, make) -> Any:
        """Return ``make()``, computed anew only when the catalog has changed."""
        stamp = self.library.stamp()
        found = self.cache.get(key)
        if found is None or found[0] != stamp:
            if len(self.cache) > 200:
                self.cache.clear()
            found = (stamp, make())
            self.cache[key] = found
        return found[1]


def site_of(request: Request) -> Site:
    """Return the site that a request is for."""
    return request.app.state.site


def reviewer_of(request: Request) -> str:
    """Return the reviewer's name: from the cookie, else the name of the user who serves."""
    name = unquote(request.cookies.get(REVIEWER, "")).strip()[:MAX_REVIEWER]
    return name or default_reviewer()


@cache
def default_reviewer() -> str:
    """Return the name of the user that runs the server."""
    try:
        return getpass.getuser()[:MAX_REVIEWER]
    except (OSError, KeyError):
        return "reviewer"


def remember_reviewer(answer: Response, name: str) -> None:
    """Keep the reviewer's name in a cookie."""
    answer.set_cookie(REVIEWER, quote(name), max_age=365 * 86400, httponly=True, samesite="strict")


def asset(path: str) -> str:
    """Return the address of a file that is served as it is, with its hash against old copies."""
    return f"/{path}?{_digest(path)}"


@cache
def _digest(path: str) -> str:
    return hashlib.sha256((FOLDER / path).read_bytes()).hexdigest()[:10]


@cache
def environment() -> Environment:
    """Return the templates' environment: autoescaped, and strict about undefined names."""
    made = Environment(
        loader=PackageLoader(__package__ or "", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.globals.update(asset=asset, version=__version__, measure_title=measure_title)
    made.filters["number"] = number
    return made


def page(
    request: Request, template: str, *, section: str = "", status: int = 200, **values: Any
) -> HTMLResponse:
    """Return a page, or a part of one where the template is one."""
    site = site_of(request)
    text = (
        environment()
        .get_template(template)
        .render(
            section=section,
            reviewer=reviewer_of(request),
            archive=str(site.library.store.out),
            **values,
        )
    )
    # Titles may hold lone surrogates, which are no UTF-8.
    return HTMLResponse(text.encode("utf-8", "backslashreplace"), status)


def message_page(
    request: Request,
    heading: str,
    text: str,
    *,
    status: int = 200,
    links: Sequence[tuple[str, str]] = (("/pieces", "All pieces"),),
    query: str = "",
) -> HTMLResponse:
    """Return a page of a heading, a sentence and where to go from there."""
    return page(
        request, "done.html", status=status, heading=heading, text=text, links=links, query=query
    )


def is_htmx(request: Request) -> bool:
    """Return whether htmx sent the request and puts the answer into the page itself."""
    return request.headers.get("hx-request") == "true"


def see(address: str) -> RedirectResponse:
    """Return a redirection after a form."""
    return RedirectResponse(address, 303)


def query_of(address: str) -> str:
    """Return ``?address``, or ``""`` for an empty one."""
    return f"?{address}" if address else ""
