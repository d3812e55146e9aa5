"""The thresholds file: read, checked, and told apart by style."""

from __future__ import annotations

import math

import pytest

from scoregate.errors import GateError
from scoregate.validators import registry
from scoregate.validators.verdict.thresholds import for_style, load, parse

GOOD = """
version = "7"
[findings]
bars = 0
[measures."bars.share"]
side = "high"
critical = 0.5
warning = 0.25
needed = true
reason = "because"
[[styles]]
match = "*/*/Choral"
reason = "choirs differ"
[styles.measures."bars.share"]
critical = 0.4
"""


def test_the_projects_own_file_is_sound():
    file = load()
    assert set(file.general.findings) == set(registry.BUILT_IN)
    for name, bound in file.general.measures.items():
        assert name.partition(".")[0] in file.general.findings, name
        assert len(bound.reason) > 30, name


def test_loops_reject_from_a_quarter_and_warn_from_a_tenth():
    lines = for_style(None)
    levels = [lines.severity("repetition.loop_share", x) for x in (0.09, 0.1, 0.24, 0.25, 1)]
    assert levels == [None, "warning", "warning", "critical", "critical"]


def test_a_style_overrides_what_it_names_and_keeps_the_rest():
    file = parse(GOOD)
    choral = file.for_style("Baroque/Bach, Johann Sebastian/Choral")
    assert (choral.name, choral.measures["bars.share"].critical) == ("*/*/Choral", 0.4)
    assert choral.measures["bars.share"].warning == 0.25
    for other in (None, "", "Romantic/Liszt, Franz/Keyboard"):
        assert file.for_style(other).measures["bars.share"].critical == 0.5


def test_the_version_changes_with_any_value():
    one, other = parse(GOOD), parse(GOOD.replace("0.25", "0.26"))
    assert one.general.version.startswith("7-")
    assert one.general.version != other.general.version


def test_the_version_stays_when_only_a_reason_is_reworded():
    one, other = parse(GOOD), parse(GOOD.replace('"because"', '"for a reason"'))
    assert one.general.version == other.general.version


def test_low_bounds_and_nan():
    bound = parse(GOOD.replace('"high"', '"low"').replace("0.25", "0.75")).general.measures
    crossed = bound["bars.share"].crossed
    assert [crossed(x, "critical") for x in (0.4, 0.5, 0.6, math.nan)] == [True, True, False, False]


def test_the_report_shows_every_line():
    assert parse(GOOD).general.as_dict()["measures"] == {
        "bars.share": {"side": "high", "critical": 0.5, "warning": 0.25, "needed": True}
    }


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("[findings]", "[findings", "no TOML"),
        ("bars = 0", "bars = -1", "should be a count"),
        ("bars = 0\n", "", "names no gate"),
        ('"high"', '"left"', "should be 'high' or 'low'"),
        ('reason = "because"\n', "", "gives no reason"),
        ("critical = 0.5", 'critical = "much"', "should be a number"),
        ("critical = 0.5", "critical = nan", "should be a number"),
        ("critical = 0.5", "critcal = 0.5", "unknown keys: critcal"),
        ("warning = 0.25", "warning = 0.75", "after its critical bound"),
        ('[styles.measures."bars.share"]', '[styles.measures."bars.shre"]', "no general entry"),
        ('reason = "choirs differ"\n', "", "needs both"),
    ],
)
def test_a_damaged_file_is_refused_by_name(old, new, says):
    assert old in GOOD
    with pytest.raises(GateError, match=says):
        parse(GOOD.replace(old, new, 1))
