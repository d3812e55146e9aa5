"""Who may talk to the dashboard: checks before any page, and headers on every answer.

The dashboard is bound to loopback, but every page that a browser shows can send requests
there. Three checks keep other sites out:

- Host must name this server, so that a foreign name that resolves to 127.0.0.1 (DNS
  rebinding) reads nothing.
- A request that changes something must come from a page of ours: ``Sec-Fetch-Site`` says
  ``same-origin``, or ``Origin`` equals the host. Without either it is refused.
- Where the server is bound to more than loopback, a token is needed; it is handed over
  once in the address and kept in a cookie that scripts can't read.

The content security policy forbids every script, style and connection that is not the
server's own file. ``'wasm-unsafe-eval'`` lets the synthesiser compile its decoder.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from http.cookies import CookieError, SimpleCookie
from urllib.parse import parse_qsl, urlencode, urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse, RedirectResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

POLICY = (
    "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self'; "
    "img-src 'self' data:; font-src 'self'; connect-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'"
)
HEADERS: Mapping[str, str] = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}
COOKIE = "scoregate_token"
MAX_BODY = 256 * 1024
"""Bytes of a form at most."""

_SAFE = frozenset({"GET", "HEAD"})
_LOOPBACK = ("127.0.0.1", "localhost", "[::1]")


class Guard:
    """Middleware that refuses what does not come from the dashboard's own pages.

    Parameters
    ----------
    app : ASGI application
    port : int
        The server listens on; part of the hosts that are accepted.
    host : str
        Address the server is bound to; loopback needs no token.
    token : str
        Needed by every request; ``""`` for none.
    """

    def __init__(
        self, app: ASGIApp, *, port: int, host: str = "127.0.0.1", token: str = ""
    ) -> None:
        self.app = app
        self.token = token
        names = [*_LOOPBACK] if not token else [*_LOOPBACK, host]
        self.hosts = {f"{name}:{port}".lower() for name in names}
        # A server bound to all addresses is reached by names that it can't know; there
        # the token is what keeps others out.
        self.any_host = bool(token) and host in ("0.0.0.0", "::")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or refuse it."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        refusal = self._refusal(scope["method"], headers)
        if refusal:
            await _refused(refusal, 403)(scope, receive, send)
            return
        if self.token and not self._has_token(headers):
            handed = dict(parse_qsl(scope["query_string"].decode("latin-1"))).get("token", "")
            if scope["method"] == "GET" and _same(handed, self.token):
                await self._admitted(scope)(scope, receive, send)
            else:
                text = "Open the address that `scoregate dashboard` printed: it holds the token."
                await _refused(text, 401)(scope, receive, send)
            return
        if int(headers.get("content-length") or 0) > MAX_BODY:
            await _refused("The form is too large.", 413)(scope, receive, send)
            return

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                answer = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    answer.setdefault(name, value)
                answer.setdefault("Cache-Control", "no-store")
            await send(message)

        await self.app(scope, receive, with_headers)

    def _refusal(self, method: str, headers: Headers) -> str:
        host = headers.get("host", "").lower()
        if not self.any_host and host not in self.hosts:
            return "This server does not go by that name."
        if method in _SAFE:
            return ""
        if method != "POST":
            return "Only forms of the dashboard are accepted."
        site, origin = headers.get("sec-fetch-site"), headers.get("origin")
        if site is not None and site != "same-origin":
            return "This form came from another site."
        if origin is not None and urlsplit(origin).netloc.lower() != host:
            return "This form came from another site."
        if site is None and origin is None:
            return "This form does not say which page it came from."
        return ""

    def _has_token(self, headers: Headers) -> bool:
        cookies: SimpleCookie = SimpleCookie()
        try:
            cookies.load(headers.get("cookie", ""))
        except CookieError:
            return False
        return COOKIE in cookies and _same(cookies[COOKIE].value, self.token)

    def _admitted(self, scope: Scope) -> RedirectResponse:
        query = [
            pair
            for pair in parse_qsl(scope["query_string"].decode("latin-1"))
            if pair[0] != "token"
        ]
        target = scope["path"] + (f"?{urlencode(query)}" if query else "")
        # Two strokes at the beginning would name another host.
        answer = RedirectResponse("/" + target.lstrip("/"), 303, headers=dict(HEADERS))
        answer.set_cookie(COOKIE, self.token, httponly=True, samesite="strict")
        return answer


def new_token() -> str:
    """Return a token that can't be guessed."""
    return secrets.token_urlsafe(24)


def _same(given: str, expected: str) -> bool:
    return secrets.compare_digest(given.encode(), expected.encode())


def _refused(text: str, status: int) -> PlainTextResponse:
    return PlainTextResponse(text + "\n", status, headers=dict(HEADERS))
