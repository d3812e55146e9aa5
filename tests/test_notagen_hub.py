"""Fetching, checking and converting weights, with a hub on loopback."""

from __future__ import annotations

import _thread
import hashlib
import json
import signal
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest
from huggingface_hub import constants
from notagen_models import ORACLE, random_weights

from scoregate import notagen
from scoregate.errors import RequestError, ToolError, UnreadableError, WeightsError
from scoregate.generator import Limits
from scoregate.notagen.model.shape import ModelShape
from scoregate.notagen.text.styles import NOTAGEN_X
from scoregate.notagen.weights import hub
from scoregate.notagen.weights import registry as weights
from scoregate.styles import Style

RELEASED = ORACLE / "weights.pth"


@pytest.fixture
def home(tmp_path, monkeypatch):
    """Use a data folder of the test's own, and a release as small as the test weights."""
    monkeypatch.setenv("SCOREGATE_WEIGHTS", str(tmp_path / "weights"))
    tiny = weights.Release("tiny", "tiny.pth", ModelShape(64, 2, 1, 256), "for tests", True)
    monkeypatch.setattr(weights, "RELEASES", (tiny,))
    monkeypatch.setattr(hub, "RELEASES", (tiny,))
    return tmp_path / "weights"


class PaperHub(ThreadingHTTPServer):
    """A hub on loopback with one file, which breaks off where it is told to."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), PaperAnswer)
        self.content = RELEASED.read_bytes()
        self.sha256 = hashlib.sha256(self.content).hexdigest()
        self.asked_from: list[int] = []  # where each request for the file began
        self.break_at: int | None = None
        self.on_break = lambda: None


class PaperAnswer(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: PaperHub

    def log_message(self, *_):
        pass

    def answer(self, status, content=b"", **headers):
        self.send_response(status)
        sizes = {"Content-Length": str(len(content))} | headers
        for name, value in sizes.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        assert self.path == "/api/models/ElectricAlexis/NotaGen/paths-info/main"
        size = len(self.server.content)
        lfs = {"oid": self.server.sha256, "size": size, "pointerSize": 130}
        file = {"type": "file", "path": "tiny.pth", "size": size, "oid": "0" * 40, "lfs": lfs}
        content = json.dumps([file]).encode()
        self.answer(200, content, Content_Type="application/json")
        self.wfile.write(content)

    def do_HEAD(self):
        self.answer(200, self.server.content, **self.about())

    def about(self):
        return {"ETag": f'"{self.server.sha256}"', "X-Repo-Commit": "0" * 40}

    def do_GET(self):
        if not self.path.endswith("/resolve/main/tiny.pth"):
            self.answer(404)
            return
        begin = int(self.headers.get("Range", "bytes=0-")[6:].split("-")[0])
        self.server.asked_from.append(begin)
        size = len(self.server.content)
        place = {"Content_Range": f"bytes {begin}-{size - 1}/{size}"} if begin else {}
        self.answer(206 if begin else 200, self.server.content[begin:], **self.about(), **place)
        stop, self.server.break_at = self.server.break_at, None
        self.wfile.write(self.server.content[begin:stop])
        if stop is not None:
            self.wfile.flush()
            self.close_connection = True
            self.server.on_break()


@pytest.fixture
def paper_hub(monkeypatch):
    with PaperHub() as server:
        Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}"
        template = url + "/{repo_id}/resolve/{revision}/{filename}"
        monkeypatch.setattr(constants, "ENDPOINT", url)
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
        monkeypatch.setattr(constants, "DOWNLOAD_CHUNK_SIZE", 1 << 16)
        yield server
        server.shutdown()


def test_fetched_weights_load_by_their_name(home, paper_hub):
    assert [entry.path for entry in hub.list_weights()][len(hub.EMBEDDED_NAMES) :] == [None]
    assert hub.get("tiny") == home / "tiny.pth"
    assert [entry.path for entry in hub.list_weights()][len(hub.EMBEDDED_NAMES) :] == [
        str(home / "tiny.pth")
    ]
    assert notagen.load("tiny", threads=1).styles == NOTAGEN_X


def test_weights_that_are_there_are_not_fetched_again(home, paper_hub):
    hub.get("tiny")
    paper_hub.content = b"other"
    assert hub.get("tiny").read_bytes() == RELEASED.read_bytes()


def test_download_with_another_checksum_is_thrown_away(home, paper_hub):
    paper_hub.content = paper_hub.content[:-1] + b"?"  # under the old checksum
    with pytest.raises(WeightsError, match="came damaged"):
        hub.get("tiny")
    assert not (home / "tiny.pth").exists()


def test_foreign_download_is_thrown_away(home, paper_hub):
    paper_hub.content = b"<html>not found</html>"
    paper_hub.sha256 = hashlib.sha256(paper_hub.content).hexdigest()
    with pytest.raises(WeightsError, match="neither safetensors nor"):
        hub.get("tiny")
    assert not (home / "tiny.pth").exists()


@pytest.mark.slow
def test_connection_that_breaks_off_is_taken_up_again(home, paper_hub):
    paper_hub.break_at = 700_000
    assert hub.get("tiny").read_bytes() == RELEASED.read_bytes()
    first, second = paper_hub.asked_from
    assert first == 0
    assert second >= 600_000


def test_killed_download_goes_on_where_it_stopped(home, paper_hub):
    def stop():
        part = home / ".partial" / paper_hub.sha256
        deadline = time.monotonic() + 20
        while part.stat().st_size < 600_000 and time.monotonic() < deadline:
            time.sleep(0.01)
        _thread.interrupt_main()

    paper_hub.break_at, paper_hub.on_break = 700_000, stop
    # A test runner in the background has SIGINT ignored.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            hub.get("tiny")
    finally:
        signal.signal(signal.SIGINT, before)
    assert not (home / "tiny.pth").exists()
    paper_hub.on_break = lambda: None
    paper_hub.asked_from.clear()
    assert hub.get("tiny").read_bytes() == RELEASED.read_bytes()
    (begin,) = paper_hub.asked_from
    assert begin >= 600_000


def test_partial_download_longer_than_the_file_begins_anew(home, paper_hub):
    part = home / ".partial" / paper_hub.sha256
    part.parent.mkdir(parents=True)
    part.write_bytes(b"?" * (len(paper_hub.content) + 1))
    assert hub.get("tiny").read_bytes() == RELEASED.read_bytes()
    assert paper_hub.asked_from == [0]


def test_damaged_partial_download_is_thrown_away(home, paper_hub):
    part = home / ".partial" / paper_hub.sha256
    part.parent.mkdir(parents=True)
    part.write_bytes(b"?" * 100)
    with pytest.raises(WeightsError, match="came damaged"):
        hub.get("tiny")
    assert hub.get("tiny").read_bytes() == RELEASED.read_bytes()


def test_hub_out_of_reach_is_a_tool_that_fails(home, paper_hub, monkeypatch):
    paper_hub.server_close()
    paper_hub.shutdown()
    with pytest.raises(ToolError, match="can't be reached"):
        hub.get("tiny")


def test_hub_that_may_not_be_asked_is_a_tool_that_fails(home, paper_hub, monkeypatch):
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(ToolError, match="did not give"):
        hub.get("tiny")


def test_local_file_takes_the_place_of_a_download(home):
    assert hub.get("tiny", RELEASED).read_bytes() == RELEASED.read_bytes()
    assert sorted(path.name for path in home.iterdir()) == ["tiny.pth"]
    with pytest.raises(RequestError):
        hub.get("huge", RELEASED)


def test_named_file_replaces_what_was_fetched(home, tmp_path):
    hub.get("tiny", RELEASED)
    other = random_weights(tmp_path / "other.safetensors", ModelShape(64, 2, 1, 256))
    assert hub.get("tiny", other).read_bytes() == other.read_bytes()
    assert hub.get("tiny", home / "tiny.pth").read_bytes() == other.read_bytes()


def test_wrong_file_replaces_nothing(home, tmp_path):
    hub.get("tiny", RELEASED)
    other = random_weights(tmp_path / "other.safetensors", ModelShape(64, 1, 1, 32))
    with pytest.raises(WeightsError, match="is not 'tiny'"):
        hub.get("tiny", other)
    assert (home / "tiny.pth").read_bytes() == RELEASED.read_bytes()


def test_converted_weights_are_not_fetched_again(home):
    path = hub.convert(RELEASED, home / "tiny.safetensors")
    assert hub.get("tiny") == path


def test_local_file_that_is_missing(home, tmp_path):
    with pytest.raises(UnreadableError):
        hub.get("tiny", tmp_path / "none.pth")


def test_check_says_what_weights_are():
    found = json.loads(json.dumps(hub.check(RELEASED)))
    assert found["shape"] == {"hidden": 64, "patch_layers": 2, "char_layers": 1, "length": 256}
    assert found["parameters"] == 307_072
    assert found["kinds"] == ["F32"]
    assert found["sha256"].startswith("15966d0d")
    assert (found["release"], found["styles"]) == (None, None)


@pytest.mark.slow
def test_check_of_the_embedded_model_gives_its_card():
    found = hub.check(None)
    assert found["styles"] == ["Baroque/Bach, Johann Sebastian/Choral"]
    assert found["card"]["styles"]


def test_check_reads_to_the_end(tmp_path):
    content = bytearray(RELEASED.read_bytes())
    content[len(content) // 2] ^= 0xFF
    (tmp_path / "w.pth").write_bytes(content)
    with pytest.raises(WeightsError, match="is damaged"):
        hub.check(tmp_path / "w.pth")


def test_converted_weights_write_the_same_text(tmp_path):
    path = hub.convert(RELEASED, tmp_path / "w.safetensors", styles=[Style("a", "b", "c")])
    before = notagen.load(RELEASED, threads=1).generate(
        ["%a\n"], seeds=[3], limits=Limits(max_steps=6)
    )
    engine = notagen.load(path, threads=1)
    assert engine.generate(["%a\n"], seeds=[3], limits=Limits(max_steps=6))[0].raw == before[0].raw
    assert engine.styles == (Style("a", "b", "c"),)


def test_converted_to_half_is_half_as_large(tmp_path):
    full = hub.convert(RELEASED, tmp_path / "full.safetensors").stat().st_size
    half = hub.convert(RELEASED, tmp_path / "half.safetensors", half=True).stat().st_size
    assert half < 0.52 * full


def test_converted_release_is_found_by_its_name(home):
    hub.get("tiny", RELEASED)
    assert hub.convert("tiny") == home / "tiny.safetensors" == weights.find("tiny")
    assert notagen.load("tiny", threads=1).styles == NOTAGEN_X


def test_conversion_onto_itself_is_refused(tmp_path):
    path = hub.convert(RELEASED, tmp_path / "w.safetensors")
    with pytest.raises(RequestError, match="source itself"):
        hub.convert(path)


def test_target_that_can_not_be_written(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(UnreadableError, match="can't be written"):
        hub.convert(RELEASED, tmp_path / "file" / "w.safetensors")
