"""What each package offers to other programs; a change here is a change of the interface."""

from __future__ import annotations

import subprocess
import sys
from importlib import import_module

import pytest

FACES = {
    "scoregate.abc": [
        "Bar", "Event", "Finished", "Score", "Voice", "finish", "read", "split_tunes",
    ],
    "scoregate.convert": [
        "SUFFIXES", "Bar", "Conversion", "ConversionError", "Piece", "convert", "convert_file",
        "needs_conversion", "piece_text", "to_abc",
    ],
    "scoregate.lstm": ["load", "trained_styles"],
    "scoregate.notagen": ["Engine", "load", "trained_styles", "weights_for"],
    "scoregate.validators": [
        "Examination", "Failure", "Finding", "FunctionGate", "Gate", "Judge", "Judgement",
        "Measure", "Outcome", "Severity", "Status", "ThresholdFile", "Thresholds", "Verdict",
        "accept_line", "examine", "judge", "judge_texts", "registry", "reward",
    ],
}  # fmt: skip


@pytest.mark.parametrize("package", FACES)
def test_the_face_of_a_package(package):
    module = import_module(package)
    assert sorted(module.__all__) == sorted(FACES[package])
    assert [name for name in module.__all__ if not hasattr(module, name)] == []


def test_importing_the_rooms_loads_nothing_heavy():
    """Another program that embeds the gates pays for no torch and starts no Prefect."""
    rooms = ", ".join(FACES)
    heavy = "{'torch', 'prefect', 'great_expectations', 'verovio', 'music21'}"
    code = f"import sys, {rooms}; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_annotations_are_meant_for_type_checkers():
    from importlib.resources import files

    assert files("scoregate").joinpath("py.typed").is_file()
