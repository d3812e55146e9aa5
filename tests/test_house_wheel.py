"""What is installed: one name, every package and data file, and it runs beside namesakes."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import tomllib
import zipfile
from pathlib import Path, PurePosixPath

import pytest

from scoregate.abc.reader import read
from scoregate.archive.store import Archive

ROOT = Path(__file__).resolve().parent.parent
SETTINGS = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
ROOMS: dict[str, str] = SETTINGS["package-dir"]  # package -> folder of the repository

# Files in the rooms that only a build needs.
FOR_BUILDING = {".c", ".h", ".inc", ".sh", ".mjs"}


def project_files() -> list[PurePosixPath]:
    """Return every file of the project that git knows or would add."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    ).stdout.splitlines()  # fmt: skip
    return [PurePosixPath(name) for name in listed if (ROOT / name).is_file()]


def installed_path(path: PurePosixPath) -> PurePosixPath | None:
    """Return where a file of a room lies once it is installed, or None outside the rooms."""
    for package, folder in ROOMS.items():
        if path.is_relative_to(folder):
            return PurePosixPath(*package.split("."), path.relative_to(folder))
    return None


def test_every_package_folder_is_listed():
    inits = [installed_path(path) for path in project_files() if path.name == "__init__.py"]
    found = {".".join(path.parent.parts) for path in inits if path}
    assert sorted(SETTINGS["packages"]) == sorted(found)


@pytest.fixture(scope="module")
def files() -> list[PurePosixPath]:
    """List the files once: what is added while the wheel is built is not in it."""
    return project_files()


@pytest.fixture(scope="module")
def wheel(files, tmp_path_factory) -> Path:
    """Build the wheel from a copy, because an old build/ would leave its files in it."""
    copy = tmp_path_factory.mktemp("source")
    for path in files:
        if path.parts[0] not in ("tests", "benchmarks", "docs"):
            (copy / path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / path, copy / path)
    out = tmp_path_factory.mktemp("wheel")
    done = subprocess.run(
        [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation",
         "--no-index", "--wheel-dir", out, copy],
        capture_output=True, text=True, timeout=500, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    (built,) = out.glob("*.whl")
    return built


@pytest.mark.slow
def test_the_wheel_holds_one_name_and_every_file(wheel, files):
    names = {PurePosixPath(name) for name in zipfile.ZipFile(wheel).namelist()}
    tops = {path.parts[0] for path in names}
    info = next(top for top in tops if top.endswith(".dist-info"))
    assert tops == {"scoregate", info}

    placed = [installed_path(path) for path in files]
    wanted = {path for path in placed if path and path.suffix not in FOR_BUILDING}
    packaged = {path for path in names if path.parts[0] == "scoregate"}
    suffix = sysconfig.get_config_var("EXT_SUFFIX")
    compiled = {
        PurePosixPath(f"scoregate/{name}{suffix}") for name in ("notagen/_kernels", "_loops")
    }
    assert packaged - compiled == wanted
    assert PurePosixPath("scoregate/py.typed") in packaged
    if shutil.which("cc") or shutil.which("gcc"):
        assert compiled <= packaged

    licences = {path.relative_to(info) for path in names if path.is_relative_to(f"{info}/licenses")}
    assert {PurePosixPath("licenses", name) for name in ("LICENSE", "NOTICE")} <= licences


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory) -> Path:
    """Install the wheel into an environment of its own; return its folder of programs.

    The dependencies are those of the running environment: its site-packages are appended to
    the path, which leaves out the finder of an editable installation. Beside the wheel lies
    another package called ``validators``, as there is one on the index.
    """
    home = tmp_path_factory.mktemp("environment")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", home], check=True)
    python = home / "bin" / "python"
    subprocess.run(
        [sys.executable, "-m", "pip", "--python", python, "install", "--quiet", "--no-deps",
         "--no-index", wheel],
        check=True, capture_output=True, timeout=200,
    )  # fmt: skip
    (site,) = home.glob("lib/python*/site-packages")
    (site / "validators").mkdir()
    (site / "validators" / "__init__.py").write_text('__version__ = "of somebody else"\n')
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return home / "bin"


@pytest.fixture
def folder_with_namesakes(tmp_path) -> Path:
    """Make a folder with packages of its own that are called as rooms are."""
    for name in ("tasks", "flows", "archive"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text('OWNER = "the folder"\n')
    return tmp_path


def run(program: Path, *words: str, folder: Path, **more: str) -> subprocess.CompletedProcess:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    return subprocess.run([program, *words], cwd=folder, env=environment | more, text=True,
                          capture_output=True, timeout=300, check=False)  # fmt: skip


IMPORTS = """
import archive, flows, tasks, validators
import scoregate.archive, scoregate.flows, scoregate.tasks, scoregate.validators
assert {archive.OWNER, flows.OWNER, tasks.OWNER} == {"the folder"}
assert validators.__version__ == "of somebody else"
print(scoregate.validators.__file__)
"""


@pytest.mark.slow
def test_rooms_and_their_namesakes_are_imported_side_by_side(installed, folder_with_namesakes):
    done = run(installed / "python", "-c", IMPORTS, folder=folder_with_namesakes)
    assert done.returncode == 0, done.stderr
    assert Path(done.stdout.strip()).is_relative_to(installed.parent)


@pytest.mark.slow
def test_the_installed_program_judges_and_reads_musicxml(installed, folder_with_namesakes):
    from scoregate.render.musicxml import to_musicxml

    text = (ROOT / "tests" / "pieces" / "chorale.abc").read_text()
    (folder_with_namesakes / "piece.abc").write_text(text)
    (folder_with_namesakes / "piece.musicxml").write_bytes(to_musicxml(text))
    done = run(installed / "scoregate", "check", "piece.abc", "piece.musicxml", "--json",
               folder=folder_with_namesakes)  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.slow
@pytest.mark.server
def test_the_installed_program_produces(installed, folder_with_namesakes, prefect_server):
    done = run(
        installed / "scoregate", "produce", "--count", "1", "--seed", "11", "--rounds", "5",
        "--out", "out", folder=folder_with_namesakes, PREFECT_API_URL=prefect_server.url,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    (report,) = Archive(folder_with_namesakes / "out").reports()
    assert {"score.abc", "score.mid", "score.musicxml", "score-1.svg"} <= set(report.files)


WRITE = """
from scoregate.generator import find_generator
generator = find_generator("lstm").load()
(piece,) = generator.generate(generator.styles[:1], seeds=[11])
print(piece.raw)
"""


@pytest.mark.slow
def test_the_lstm_that_is_installed_writes(installed, folder_with_namesakes):
    """The line that judges its pieces is that of the test before."""
    done = run(installed / "python", "-c", WRITE, folder=folder_with_namesakes)
    assert done.returncode == 0, done.stderr
    assert read(done.stdout).bar_count > 1
