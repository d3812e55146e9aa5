"""The service ``scoregate serve``: a score is posted, and its judgement comes back.

``POST /judge`` takes the content of a file and answers with one JSON object a line, one for each
tune. Requests are limited in size and time, and only a few wait for a worker at a time; others
are told to come again. The service listens on this machine only, unless the operator names
another address; then every request needs a token.
"""

from __future__ import annotations

import asyncio
import hmac
import os
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass

from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse, PlainTextResponse
from starlette.requests import ClientDisconnect

from scoregate import __version__
from scoregate.errors import RequestError
from scoregate.flows.service_workers import Job, Workers
from scoregate.listening import is_loopback, listen
from scoregate.validators.verdict import profiles

TOKEN = "SCOREGATE_TOKEN"
"""Environment variable with the token that requests must carry."""
_NAME_LENGTH = 200


@dataclass(frozen=True, slots=True)
class Limits:
    """What the service accepts.

    Attributes
    ----------
    size : int
        Bytes of a request.
    seconds : float
        Time that judging a request may take.
    body_seconds : float
        Time in which a request must have arrived.
    workers : int
        Requests that are judged at the same time.
    waiting : int
        Requests that may wait for a worker.
    arriving : int
        Requests whose bodies are read at the same time.
    connections : int
        Connections at the same time.
    """

    size: int = 4 * 2**20
    seconds: float = 20.0
    body_seconds: float = 10.0
    workers: int = 2
    waiting: int = 16
    arriving: int = 64
    connections: int = 256


class _Refused(Exception):
    """A request that is answered with an error: its status and what is wrong."""

    def __init__(self, status: int, problem: str) -> None:
        super().__init__(problem)
        self.status, self.problem = status, problem


def create_app(limits: Limits, *, token: str = "", hosts: tuple[str, ...] = ()) -> FastAPI:
    """Return the application.

    Parameters
    ----------
    limits : Limits
    token : str
        What ``Authorization: Bearer`` must carry; ``""`` for no token.
    hosts : tuple of str
        Names by which the service may be called, so that a page in a browser can't reach it by
        a name of its own; empty for any name.
    """
    arriving = asyncio.Semaphore(limits.arriving)
    waiting = asyncio.Semaphore(limits.workers + limits.waiting)

    @asynccontextmanager
    async def running(app: FastAPI):
        workers = await asyncio.to_thread(Workers, limits.workers, limits.seconds)
        app.state.judge = workers.judge
        app.state.threads = ThreadPoolExecutor(limits.workers, "judge")
        yield
        app.state.threads.shutdown(wait=False, cancel_futures=True)
        await asyncio.to_thread(workers.close)

    app = FastAPI(title="Scoregate", version=__version__, lifespan=running, docs_url=None,
                  redoc_url=None, openapi_url=None)  # fmt: skip

    @app.middleware("http")
    async def guarded(
        request: Request, proceed: Callable[[Request], Awaitable[Response]]
    ) -> Response:
        host = (request.headers.get("host") or "").rpartition(":")
        called = host[0] if host[2].isdigit() else "".join(host)
        if hosts and called.strip("[]") not in hosts:
            return PlainTextResponse("This is not the name of the service.\n", 421)
        if token and not _authorised(request, token):
            return PlainTextResponse(
                "Give the token: Authorization: Bearer ...\n", 401, {"WWW-Authenticate": "Bearer"}
            )
        return await proceed(request)

    @app.get("/health")
    async def health() -> dict[str, str]:
        return {"status": "ok", "version": __version__}

    @app.post("/judge")
    async def judge(
        request: Request, name: str = "score.abc", profile: str = "", style: str = ""
    ) -> Response:
        try:
            if profile:
                profiles.find(profile)
            content = await _body(request, limits, arriving)
            if waiting.locked():
                raise _Refused(503, "busy; come again in a second")
        except _Refused as refused:
            # What is left of the body is not read, so the connection can't be used again.
            headers = {"Connection": "close"} | (
                {"Retry-After": "1"} if refused.status == 503 else {}
            )
            return JSONResponse({"error": refused.problem}, refused.status, headers)
        except RequestError as error:
            return JSONResponse({"error": error.problem, "remedy": error.remedy}, 400)
        job = Job(content, _plain(name), profile or None, style or None)
        async with waiting:
            loop = asyncio.get_running_loop()
            lines = await loop.run_in_executor(app.state.threads, app.state.judge, job)
        return Response("\n".join(lines) + "\n", media_type="application/x-ndjson")

    return app


def _authorised(request: Request, token: str) -> bool:
    kind, _, given = request.headers.get("authorization", "").partition(" ")
    return kind.lower() == "bearer" and hmac.compare_digest(given.encode(), token.encode())


async def _body(request: Request, limits: Limits, arriving: asyncio.Semaphore) -> bytes:
    """Return the body of a request, as far as the limits allow."""
    if arriving.locked():
        raise _Refused(503, "busy; come again in a second")
    too_large = _Refused(413, f"a request may have {limits.size} bytes")
    announced = request.headers.get("content-length", "")
    if announced.isdigit() and int(announced) > limits.size:
        raise too_large
    content = bytearray()
    try:
        async with arriving, asyncio.timeout(limits.body_seconds):
            async for part in request.stream():
                content += part
                if len(content) > limits.size:
                    raise too_large
    except TimeoutError as error:
        problem = f"the request took longer than {limits.body_seconds:g} s to arrive"
        raise _Refused(408, problem) from error
    except ClientDisconnect as error:
        raise _Refused(400, "the connection was closed before the request was complete") from error
    return bytes(content)


def _plain(name: str) -> str:
    """Return a name without folders and control characters: it is shown and never opened."""
    last = name.replace("\\", "/").rpartition("/")[2]
    return "".join(letter for letter in last if letter.isprintable())[:_NAME_LENGTH] or "score.abc"


def serve(
    limits: Limits,
    *,
    host: str = "127.0.0.1",
    port: int = 8766,
    ready: Callable[[str], None] = print,
) -> None:
    """Serve until interrupted.

    Parameters
    ----------
    limits : Limits
    host : str
        Address to listen on. Other machines reach the service only where it is not loopback,
        and then ``SCOREGATE_TOKEN`` must hold a token.
    port : int
        0 takes a free one.
    ready : callable
        Told the address, once the service listens.

    Raises
    ------
    RequestError
        The address is wider than this machine, and there is no token.
    ServerError
        The port is taken.
    """
    import uvicorn

    token = os.environ.get(TOKEN, "")
    local = is_loopback(host)
    if not local and len(token) < 16:
        raise RequestError(
            f"{host} can be reached from other machines, and no token protects the service.",
            f"Put a token of 16 characters and more into {TOKEN}, or leave --host out.",
        )
    listener, address = listen(host, port)
    hosts = ("localhost", "127.0.0.1", "::1") if local else ()
    app = create_app(limits, token=token, hosts=hosts)
    ready(address)
    config = uvicorn.Config(
        app,
        http=_impatient_protocol(limits.body_seconds),
        log_level="warning",
        access_log=False,
        server_header=False,
        limit_concurrency=limits.connections,
        timeout_keep_alive=5,
        timeout_graceful_shutdown=2,
    )
    uvicorn.Server(config).run(sockets=[listener])


def _impatient_protocol(seconds: float):
    """Return uvicorn's protocol, closing connections whose header does not arrive in time."""
    from uvicorn.protocols.http.h11_impl import H11Protocol

    class Impatient(H11Protocol):
        def connection_made(self, transport) -> None:
            super().connection_made(transport)
            self.loop.call_later(seconds, self._close_if_silent)

        def _close_if_silent(self) -> None:
            if self.cycle is None and not self.transport.is_closing():
                self.transport.close()

    return Impatient
