"""A Prefect server is found, refused or not mistaken for another program; its answers."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Event, Thread

import pytest
from commands import scoregate_here

from scoregate.errors import ServerError
from scoregate.flows import server
from scoregate.flows.operations import api


@pytest.fixture
def answering():
    """Start HTTP servers that answer each path as a dictionary says; ``None`` never answers."""
    started, ended = [], Event()

    def start(answers: dict[str, tuple[int, str] | None], port: int = 0) -> str:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                answer = answers.get(self.path, (404, "no such page"))
                if answer is None:
                    ended.wait(60)
                    return
                self.send_response(answer[0])
                self.end_headers()
                self.wfile.write(answer[1].encode())

            def log_message(self, *_):
                pass

        http = HTTPServer(("127.0.0.1", port), Handler)
        Thread(target=http.serve_forever, args=(0.02,), daemon=True).start()
        started.append(http)
        return f"http://127.0.0.1:{http.server_port}/api"

    yield start
    ended.set()
    for http in started:
        http.shutdown()  # first: without its socket the thread would ask without a pause
        http.server_close()


@pytest.mark.slow
@pytest.mark.parametrize("answers", [{}, {"/api/health": None}], ids=["answering", "hanging"])
def test_an_alien_program_on_the_default_port_is_recognised_in_time(
    answers, answering, monkeypatch, tmp_path
):
    url = answering(answers)
    monkeypatch.setenv("PREFECT_HOME", str(tmp_path))
    monkeypatch.setattr(server, "DEFAULT_PORT", int(url.rsplit(":", 1)[1].removesuffix("/api")))
    monkeypatch.setattr(server, "_a_server_runs", lambda: False)
    monkeypatch.setattr(server, "STRANGER_PATIENCE", 1.0)
    started = time.monotonic()
    assert server.running_server() is None
    assert time.monotonic() - started < 4
    assert server._free_port() != server.DEFAULT_PORT


def test_the_patience_with_a_stranger_leaves_room_for_a_limit_of_five_seconds():
    assert server.STRANGER_PATIENCE <= 4


@pytest.mark.parametrize(
    ("version", "said"),
    [("3.6.1", "is version 3.6.1"), ("2.20.0", "is version 2.20.0"), ("4.0.0", "is version 4.0.0")],
)
def test_a_server_of_another_version_is_refused(version, said, answering, monkeypatch):
    url = answering({"/api/health": (200, "true"), "/api/admin/version": (200, f'"{version}"')})
    monkeypatch.setenv("PREFECT_API_URL", url)
    with pytest.raises(ServerError, match=said) as caught:
        server.ensure_server()
    assert caught.value.remedy


def test_a_newer_minor_version_is_accepted(answering, monkeypatch):
    url = answering({"/api/health": (200, "true"), "/api/admin/version": (200, '"3.9.0"')})
    monkeypatch.setenv("PREFECT_API_URL", url)
    assert server.ensure_server().url == url


def test_a_server_that_wants_a_password_says_so(answering, monkeypatch):
    url = answering({"/api/health": (200, "true"), "/api/admin/version": (401, "{}")})
    monkeypatch.setenv("PREFECT_API_URL", url)
    with pytest.raises(ServerError, match="wants a password") as caught:
        server.ensure_server()
    assert "PREFECT_API_AUTH_STRING" in caught.value.remedy


@pytest.mark.slow
@pytest.mark.parametrize("command", ["worker", "deploy", "doctor"])
def test_a_dead_address_ends_in_a_plain_line(command, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}/api"
        done = scoregate_here(command, url=url, PREFECT_HOME=str(tmp_path))
    assert done.returncode == (1 if command == "doctor" else 2)
    assert f"No Prefect server answers at {url}" in done.stdout + done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.slow
def test_a_server_that_goes_away_during_a_command_ends_in_a_plain_line(tmp_path):
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b'"3.8.8"' if self.path.endswith("version") else b"true")
            if self.path.endswith("version"):  # the last question before the work begins
                http.socket.close()

        def log_message(self, *_):
            pass

    http = HTTPServer(("127.0.0.1", 0), Handler)
    url = f"http://127.0.0.1:{http.server_port}/api"
    Thread(target=http.serve_forever, daemon=True).start()
    done = subprocess.run(
        [sys.executable, "-m", "scoregate.flows.cli", "deploy"],
        cwd=tmp_path, capture_output=True, text=True, timeout=120,
        env=os.environ | {"PREFECT_API_URL": url, "PREFECT_HOME": str(tmp_path),
                          "PREFECT_CLIENT_MAX_RETRIES": "0"},
    )  # fmt: skip
    assert done.returncode == 2
    http.shutdown()
    assert f"The Prefect server at {url} does not answer any more" in done.stderr
    assert "Traceback" not in done.stderr


def test_an_answer_that_is_no_json_is_no_answer(answering):
    url = answering({"/api/x": (200, "<html>")})
    with pytest.raises(api.Unanswered):
        api.get(url, "/x")


@pytest.mark.slow
def test_a_server_that_is_busy_is_asked_again():
    class Busy(BaseHTTPRequestHandler):
        asked = 0

        def do_GET(self):
            Busy.asked += 1
            self.send_response(503 if Busy.asked < 3 else 200)
            self.end_headers()
            self.wfile.write(b"7")

        def log_message(self, *_):
            pass

    with HTTPServer(("127.0.0.1", 0), Busy) as busy:
        Thread(target=busy.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{busy.server_port}"
        assert api.get(url, "/x") == 7
        Busy.asked = -1000
        with pytest.raises(api.Unanswered, match="503"):
            api.get(url, "/x", timeout=0.5)
        busy.shutdown()
