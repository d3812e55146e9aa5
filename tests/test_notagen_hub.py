"""Fetching, checking and converting weights, with a hub of paper."""

from __future__ import annotations

import hashlib
import json
from types import SimpleNamespace

import huggingface_hub
import pytest
from huggingface_hub.errors import OfflineModeIsEnabled
from notagen_models import ORACLE

import notagen
from notagen import hub, weights
from notagen.shape import ModelShape
from notagen.styles import NOTAGEN_X, Style
from scoregate.errors import RequestError, ToolError, UnreadableError, WeightsError

RELEASED = ORACLE / "weights.pth"


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A data folder of the test's own, and a release as small as the test weights."""
    monkeypatch.setenv("SCOREGATE_WEIGHTS", str(tmp_path / "weights"))
    tiny = weights.Release("tiny", "tiny.pth", ModelShape(64, 2, 1, 256), "for tests", True)
    monkeypatch.setattr(weights, "RELEASES", (tiny,))
    monkeypatch.setattr(hub, "RELEASES", (tiny,))
    return tmp_path / "weights"


@pytest.fixture
def paper_hub(monkeypatch):
    """A hub that gives the bytes it is told to, under a checksum of its own."""
    given = SimpleNamespace(
        content=RELEASED.read_bytes(), sha256=hashlib.sha256(RELEASED.read_bytes()).hexdigest()
    )

    def paths_info(_, repository, files):
        assert (repository, files) == ("ElectricAlexis/NotaGen", ["tiny.pth"])
        return [SimpleNamespace(lfs=SimpleNamespace(sha256=given.sha256))]

    def download(_, file, local_dir):
        (local_dir / file).write_bytes(given.content)

    monkeypatch.setattr(huggingface_hub.HfApi, "get_paths_info", paths_info)
    monkeypatch.setattr(huggingface_hub, "hf_hub_download", download)
    return given


def test_fetched_weights_load_by_their_name(home, paper_hub):
    assert [entry.path for entry in hub.list_weights()][1:] == [None]
    assert hub.get("tiny") == home / "tiny.pth"
    assert [entry.path for entry in hub.list_weights()][1:] == [str(home / "tiny.pth")]
    assert notagen.load("tiny", threads=1).styles == NOTAGEN_X


def test_weights_that_are_there_are_not_fetched_again(home, paper_hub):
    hub.get("tiny")
    paper_hub.content = b"other"
    assert hub.get("tiny").read_bytes() == RELEASED.read_bytes()


def test_download_with_another_checksum_is_thrown_away(home, paper_hub):
    paper_hub.content = paper_hub.content[:-1] + b"?"
    with pytest.raises(WeightsError, match="came damaged"):
        hub.get("tiny")
    assert not (home / "tiny.pth").exists()


def test_foreign_download_is_thrown_away(home, paper_hub):
    paper_hub.content = b"<html>not found</html>"
    paper_hub.sha256 = hashlib.sha256(paper_hub.content).hexdigest()
    with pytest.raises(WeightsError, match="neither safetensors nor"):
        hub.get("tiny")
    assert not (home / "tiny.pth").exists()


def test_hub_out_of_reach_is_a_tool_that_fails(home, paper_hub, monkeypatch):
    def offline(*_, **__):
        raise OfflineModeIsEnabled("offline")

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", offline)
    with pytest.raises(ToolError, match="goes on where it stopped"):
        hub.get("tiny")


def test_local_file_takes_the_place_of_a_download(home):
    assert hub.get("tiny", RELEASED).read_bytes() == RELEASED.read_bytes()
    assert sorted(path.name for path in home.iterdir()) == ["tiny.pth"]
    with pytest.raises(RequestError):
        hub.get("huge", RELEASED)


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
    before = notagen.load(RELEASED, threads=1).generate(["%a\n"], seeds=[3], max_patches=6)
    engine = notagen.load(path, threads=1)
    assert engine.generate(["%a\n"], seeds=[3], max_patches=6)[0].raw == before[0].raw
    assert engine.styles == (Style("a", "b", "c"),)


def test_converted_to_half_is_half_as_large(tmp_path):
    full = hub.convert(RELEASED, tmp_path / "full.safetensors").stat().st_size
    half = hub.convert(RELEASED, tmp_path / "half.safetensors", half=True).stat().st_size
    assert half < 0.52 * full


def test_conversion_onto_itself_is_refused(tmp_path):
    path = hub.convert(RELEASED, tmp_path / "w.safetensors")
    with pytest.raises(RequestError, match="source itself"):
        hub.convert(path)


def test_target_that_can_not_be_written(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(UnreadableError, match="can't be written"):
        hub.convert(RELEASED, tmp_path / "file" / "w.safetensors")
