"""Find a healthy Prefect server, or start one in the background.

The order is: the address in ``PREFECT_API_URL`` (from the environment or the Prefect profile),
where none is started, since a person chose the address; a server that Scoregate started before;
one on Prefect's default port; a new one, bound to loopback, which goes on running after the
command ends so that its pages can be read.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from scoregate.errors import ServerError
from scoregate.flows.operations import api
from scoregate.flows.operations.processes import command_lines, is_same, start_mark, stop_group
from scoregate.flows.operations.starting import Start
from scoregate.logs import json_is_wanted

DEFAULT_PORT = int(os.environ.get("PREFECT_SERVER_API_PORT") or 4200)
PATIENCE = 30.0
"""Seconds that a Prefect server may take to answer: on a busy machine it takes several."""
STRANGER_PATIENCE = 3.0
"""Seconds that a program on the default port may take, where no Prefect server is seen."""
DATABASE = "PREFECT_SERVER_DATABASE_CONNECTION_URL"
OLDEST_SERVER = (3, 8)
"""Older servers lack the leases of concurrency slots that schedules rely on."""

# Prefect reads these when it is first imported: quiet, private, and patient at the start.
SETTINGS = {
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "DO_NOT_TRACK": "1",
    "PREFECT_SERVER_UI_SHOW_PROMOTIONAL_CONTENT": "false",
    "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "120",
    # A flow run never falls back to a server inside its own process: that one loses
    # most task records when the process ends.
    "PREFECT_SERVER_ALLOW_EPHEMERAL_MODE": "false",
}
# With SCOREGATE_LOG=json: what Prefect's logging.yml says of its console is replaced.
JSON_SETTINGS = {
    "PREFECT_LOGGING_HANDLERS_CONSOLE_CLASS": "scoregate.logs.JsonHandler",
    "PREFECT_LOGGING_HANDLERS_CONSOLE_FORMATTER": "json",
    "PREFECT_LOGGING_FORMATTERS_JSON_CLASS": "scoregate.logs.JsonLines",
}


@dataclass(frozen=True, slots=True)
class Server:
    """A Prefect server.

    Attributes
    ----------
    url : str
        Address of its API.
    pid : int or None
        Its process, if Scoregate started it.
    started : bool
        Whether this call started it.
    mark : str or None
        Start of that process: see :func:`scoregate.flows.operations.processes.start_mark`.
    """

    url: str
    pid: int | None = None
    started: bool = False
    mark: str | None = None

    @property
    def pages(self) -> str:
        """Address of the server's web pages."""
        return self.url.removesuffix("/api")


def apply_settings() -> None:
    """Set Prefect's environment variables that are not set; call before importing Prefect."""
    settings = SETTINGS | (JSON_SETTINGS if json_is_wanted() else {})
    for name, value in settings.items():
        os.environ.setdefault(name, value)


def prefect_home() -> Path:
    """Return the folder in which Prefect keeps its database."""
    return Path(os.environ.get("PREFECT_HOME") or Path.home() / ".prefect").expanduser()


def is_healthy(url: str, timeout: float = PATIENCE) -> bool:
    """Return whether a Prefect API answers at ``url`` (``http://host:port/api``).

    Where nothing listens, this returns at once. A server on a busy machine may take seconds to
    answer; without the long timeout, a second one would be started beside it.
    """
    try:
        return api.get(url, "/health", timeout=timeout) is True
    except api.Unanswered:
        return False


def server_answers(timeout: float = 5.0) -> bool:
    """Return whether the server of this process answers; one question more after a second."""
    from prefect.settings import PREFECT_API_URL

    url = PREFECT_API_URL.value()
    if not url or is_healthy(url, timeout):
        return True
    time.sleep(1)
    return is_healthy(url, timeout)


def check_version(url: str) -> str:
    """Return the version of a healthy server.

    Raises
    ------
    ServerError
        It is older than the oldest that is known to work, or of another major version, or it
        asks for a password that is not given.
    """
    try:
        version = str(api.get(url, "/admin/version", timeout=PATIENCE))
    except api.Refused as error:
        raise ServerError(
            f"The Prefect server at {url} wants a password.",
            "Set PREFECT_API_AUTH_STRING to the value that the server was started with.",
        ) from error
    except api.Unanswered as error:
        raise ServerError(f"The program at {url} is no Prefect server: {error}.") from error
    try:
        numbers = tuple(int(part) for part in version.split(".")[:2])
    except ValueError as error:
        raise ServerError(f"The program at {url} is no Prefect server.") from error
    if numbers < OLDEST_SERVER or numbers[0] != OLDEST_SERVER[0]:
        oldest = ".".join(map(str, OLDEST_SERVER))
        raise ServerError(
            f"The Prefect server at {url} is version {version}; Scoregate works with "
            f"{oldest} and later versions of {OLDEST_SERVER[0]}.",
            "Upgrade that server, or unset PREFECT_API_URL so that Scoregate starts its own.",
        )
    return version


def ensure_server(say: Callable[[str], None] = lambda line: None) -> Server:
    """Return a healthy server, starting one if need be, and point Prefect at it.

    Parameters
    ----------
    say : callable
        Called with a sentence that says what is being waited for.

    Raises
    ------
    ServerError
        The chosen server doesn't answer, or none could be started.
    """
    apply_settings()
    chosen = chosen_url()
    if chosen:
        if not api.is_open(chosen) or not is_healthy(chosen):
            raise ServerError(
                f"No Prefect server answers at {chosen}.",
                "Start it (`prefect server start`), or unset PREFECT_API_URL so that "
                "Scoregate starts one of its own.",
            )
        server = Server(chosen)
    else:
        with _start_lock():
            server = running_server() or _start(say)
    check_version(server.url)
    os.environ["PREFECT_API_URL"] = server.url
    return server


def chosen_url() -> str | None:
    """Return the API address that the environment or the Prefect profile names, if any."""
    if url := os.environ.get("PREFECT_API_URL"):
        return url.rstrip("/")
    profiles = prefect_home() / "profiles.toml"
    if not profiles.is_file():
        return None
    import tomllib

    try:
        data = tomllib.loads(profiles.read_text())
        active = os.environ.get("PREFECT_PROFILE") or data.get("active", "ephemeral")
        url = data.get("profiles", {}).get(active, {}).get("PREFECT_API_URL")
    except (tomllib.TOMLDecodeError, AttributeError) as error:
        raise ServerError(
            f"The Prefect profiles in {profiles} can't be read: {error}.",
            "Mend or remove that file.",
        ) from error
    return url.rstrip("/") if url else None


def running_server() -> Server | None:
    """Return the server that Scoregate started before, or one on the default port.

    Another program on that port is recognised within :data:`STRANGER_PATIENCE`.
    """
    remembered = _remembered()
    if remembered and remembered.pid and _is_ours(remembered) and is_healthy(remembered.url):
        return remembered
    default = f"http://127.0.0.1:{DEFAULT_PORT}/api"
    if not api.is_open(default, timeout=1.0):
        return None
    patience = PATIENCE if _a_server_runs() else STRANGER_PATIENCE
    return Server(default) if is_healthy(default, patience) else None


def stop_server() -> bool:
    """Stop the server that Scoregate started; return whether there was one."""
    server = _remembered()
    if server is None:
        return False
    _state_file().unlink(missing_ok=True)
    if server.pid is None or not _is_ours(server):
        return False
    return stop_group(server.pid, server.mark, patience=15.0)


def _start(say: Callable[[str], None]) -> Server:
    port = _free_port()
    url = f"http://127.0.0.1:{port}/api"
    log = prefect_home() / "scoregate-server.log"
    if port != DEFAULT_PORT and DEFAULT_PORT:
        say(f"Another program uses port {DEFAULT_PORT}; the Prefect server takes port {port}.")
    say(f"Starting a Prefect server at http://127.0.0.1:{port} (about 20 s the first time)")
    environment = {key: value for key, value in os.environ.items() if key != "PREFECT_API_URL"}
    environment |= _database()
    command = (sys.executable, "-m", "prefect", "server", "start")
    # What the server writes, its database included, is for its owner only.
    with open(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as output:
        process = subprocess.Popen(
            [*command, "--host", "127.0.0.1", "--port", str(port)],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=environment,
            umask=0o077,
            start_new_session=True,  # it outlives this command, and Ctrl-C doesn't reach it
        )
    start = Start("The Prefect server", process.pid, log, say)
    while True:
        if is_healthy(url):
            server = Server(url, process.pid, started=True, mark=start_mark(process.pid))
            _state_file().write_text(json.dumps(asdict(server)))
            return server
        if not start.goes_on(process.poll() is None):
            break
        time.sleep(0.25)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    tail = "\n".join(log.read_text(errors="replace").splitlines()[-8:])
    raise ServerError(
        f"A Prefect server could not be started at {url}. {start.problem}\n{tail}",
        f"The whole log is {log}. Is the port free, and can {prefect_home()} be written?",
    )


def _database() -> dict[str, str]:
    """Return the variable that gives the server the database of ``SCOREGATE_DATABASE``.

    Empty where that is not set, or the server's own variable is.

    Raises
    ------
    ScoregateError
        The database can't be reached: told here in one line, before the server starts.
    """
    from scoregate.archive import postgres

    where = postgres.address()
    if where is None or os.environ.get(DATABASE):
        return {}
    postgres.connect(where).close()
    return {DATABASE: where.of_prefect}


def _free_port() -> int:
    """Return Prefect's default port if nothing listens there, else any free one."""
    for port in (DEFAULT_PORT, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return probe.getsockname()[1]
    raise ServerError("No port on 127.0.0.1 is free.", "Close some program and try again.")


def _state_file() -> Path:
    return prefect_home() / "scoregate-server.json"


def _remembered() -> Server | None:
    try:
        state = json.loads(_state_file().read_text())
        return Server(str(state["url"]), int(state["pid"]), mark=state.get("mark"))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None  # no server was started, or its note is unusable: look elsewhere


def _is_ours(server: Server) -> bool:
    """Return whether the process is the server that was started (numbers are reused)."""
    return server.pid is not None and is_same(server.pid, server.mark)


def _a_server_runs() -> bool:
    """Return whether some process on this machine looks like a Prefect server."""
    return any("prefect server start" in line for line in command_lines())


@contextlib.contextmanager
def _start_lock() -> Iterator[None]:
    """Let one command at a time look for a server and start it."""
    home = prefect_home()
    try:
        home.mkdir(parents=True, exist_ok=True)
        lock = open(home / "scoregate-server.lock", "w")  # noqa: SIM115 - held below
    except OSError as error:
        raise ServerError(
            f"Prefect's folder {home} can't be written: {error.strerror}.",
            "Set PREFECT_HOME to a folder that can.",
        ) from error
    with lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
