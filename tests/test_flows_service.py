"""The service that judges scores over HTTP: answers, limits, floods, and the token."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from scoregate.errors import RequestError
from scoregate.flows import service
from scoregate.flows.service import Limits, create_app, serve

PIECE = (Path(__file__).parent / "pieces" / "chorale.abc").read_bytes()
BOOK = b"".join(
    b"X:%d\nT:Tune\nM:4/4\nL:1/4\nQ:1/4=90\nK:C\nCEGc|%s|]\n\n" % (number, bar)
    for number, bar in ((1, b"G2E2"), (2, b"G2E4"), (3, b"c2C2"))
)


@pytest.fixture
def client(monkeypatch):
    class Echo:
        def __init__(self, count, seconds):
            pass

        def judge(self, job):
            return [json.dumps({"file": job.name, "bytes": len(job.content)})]

        def close(self):
            pass

    monkeypatch.setattr(service, "Workers", Echo)
    app = create_app(Limits(size=1000), token="", hosts=("localhost", "127.0.0.1"))
    with TestClient(app, base_url="http://localhost:8766") as opened:
        yield opened


def test_a_name_is_shown_and_no_path(client):
    answer = client.post("/judge?name=../../etc/a%00b.abc", content=b"X:1")
    assert answer.json() == {"file": "ab.abc", "bytes": 3}


def test_what_is_too_large_is_refused(client):
    assert client.post("/judge", content=b"x" * 1001).status_code == 413
    # Without a length in the header the bytes are counted.
    assert client.post("/judge", content=iter([b"x" * 600, b"x" * 600])).status_code == 413


def test_an_unknown_profile_is_named(client):
    answer = client.post("/judge?profile=fokl", content=b"X:1")
    assert answer.status_code == 400
    assert "folk" in answer.json()["remedy"]


def test_a_foreign_name_of_the_service_is_refused(client):
    answer = client.get("/health", headers={"Host": "evil.example:8766"})
    assert answer.status_code == 421


def test_the_token_is_asked_for(monkeypatch):
    monkeypatch.setattr(
        service, "Workers", lambda *_: type("W", (), {"judge": None, "close": lambda s: None})()
    )
    with TestClient(create_app(Limits(), token="a secret of some length")) as client:
        assert client.get("/health").status_code == 401
        wrong = {"Authorization": "Bearer something else"}
        assert client.get("/health", headers=wrong).status_code == 401
        right = {"Authorization": "Bearer a secret of some length"}
        assert client.get("/health", headers=right).json()["status"] == "ok"


def test_a_wider_address_needs_a_token(monkeypatch):
    for token in ("", "short"):
        monkeypatch.setenv("SCOREGATE_TOKEN", token)
        with pytest.raises(RequestError, match="no token protects"):
            serve(Limits(), host="0.0.0.0")


# --- a real server ----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def address():
    """Run the service with short limits and one worker."""
    code = (
        "from scoregate.flows.service import Limits, serve\n"
        "if __name__ == '__main__':\n"
        "    serve(Limits(size=200_000, seconds=3, body_seconds=1, workers=1, waiting=2,\n"
        "          arriving=8, connections=40), port=0, ready=lambda at: print(at, flush=True))\n"
    )
    env = os.environ | {"SCOREGATE_TOKEN": ""}
    with subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, env=env
    ) as process:
        try:
            assert process.stdout is not None
            yield process.stdout.readline().strip()
            assert process.poll() is None, "the service ended"
        finally:
            process.terminate()


def post(address: str, content: bytes, query: str = "") -> tuple[int, list[dict]]:
    """Post to the service; return the status and the lines of the answer."""
    request = urllib.request.Request(f"{address}judge{query}", data=content, method="POST")
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status, [json.loads(line) for line in answer.read().splitlines()]
    except urllib.error.HTTPError as error:
        return error.code, []


@pytest.mark.server
def test_a_score_and_a_tunebook_are_judged(address):
    for _ in range(100):  # the server listens before its workers are ready
        try:
            status, lines = post(address, PIECE, "?name=chorale.abc")
            break
        except urllib.error.URLError:
            time.sleep(0.1)
    assert status == 200
    assert [(line["file"], line["passed"]) for line in lines] == [("chorale.abc", True)]
    assert 0.7 < lines[0]["reward"] <= 1
    _, tunes = post(address, BOOK, "?name=book.abc&profile=folk")
    assert [line["file"] for line in tunes] == ["book.abc#1", "book.abc#2", "book.abc#3"]
    assert [line["passed"] for line in tunes] == [True, False, True]
    (fault,) = [it for it in tunes[1]["findings"] if it["severity"] == "critical"]
    assert fault["line"] == 15  # of the book


@pytest.mark.server
def test_a_flood_of_large_requests_is_refused_and_survived(address):
    with ThreadPoolExecutor(12) as crowd:
        results = list(crowd.map(lambda _: _status(address, b"z" * 300_000), range(40)))
    assert set(results) <= {413, 503, 0}  # 0: closed while the body was on its way
    assert post(address, PIECE)[0] == 200


def _status(address: str, content: bytes) -> int:
    try:
        return post(address, content)[0]
    except OSError:
        return 0


@pytest.mark.server
def test_slow_requests_do_not_keep_others_out(address):
    host, port = re.match(r"http://([\d.]+):(\d+)/", address).groups()
    begun = []
    for number in range(20):
        connection = socket.create_connection((host, int(port)), timeout=10)
        # Half of them send half a header, the others a header and no body.
        text = "POST /judge HTTP/1.1\r\nHost: 127.0.0.1\r\n"
        text += "" if number % 2 else "Content-Length: 1000\r\n\r\nX:1"
        connection.sendall(text.encode())
        begun.append(connection)
    time.sleep(1.5)
    assert post(address, PIECE)[0] == 200
    for number, connection in enumerate(begun):
        said = connection.recv(100)
        assert said.startswith((b"HTTP/1.1 408", b"HTTP/1.1 503")) or (number % 2 and not said)
        connection.close()


@pytest.mark.server
def test_a_score_that_takes_too_long_costs_only_itself(address):
    # Thousands of tunes take more than three seconds.
    status, lines = post(address, BOOK * 400, "?name=long.abc")
    assert status == 200
    assert lines[-1]["status"] == "could not be judged"
    assert "longer than 3 s" in lines[-1]["reasons"][0]
    assert post(address, PIECE)[0] == 200
