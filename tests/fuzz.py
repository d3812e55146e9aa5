"""A fuzz target for everything that reads text: damaged pieces, and what must hold of them.

    python tests/fuzz.py --cases 100000 --seed 7

Seeds are the small pieces beside this file; each case is one of them after one to eight
random edits (characters, tokens that parsers stumble over, lines moved, pieces spliced).
"""

from __future__ import annotations

import argparse
import random
from fractions import Fraction
from pathlib import Path

from scoregate.abc.finish import finish
from scoregate.abc.reader import read
from scoregate.abc.score import Score
from scoregate.abc.source_text import split_lines
from scoregate.validators.gates import bars
from scoregate.validators.line_judge import accept_line

SEEDS = [path.read_text() for path in sorted((Path(__file__).parent / "pieces").glob("*.abc"))]

TOKENS = [
    *("[", "]", "{", "}", "(", ")", '"', "!", "|", "||", "|]", "[|", "|:", ":|", "::", "|1", "[2"),
    *("(3", "(3:2:", "(9:99:99", "(0", ">", "<<<", ">>>>", "-", "&", "(&", "&)", "y", "Z", "Z99"),
    *("X0", "z", "x9999", "/", "///", "/3", "0", "42", "99999", "^", "__", "=", "^/", "^3/2", ","),
    *("'" * 12, "," * 12, "[V:1]", "[V:", "[V:99 clef=bass-8]", "[K:", "[K:Ebm]", "[K:exp ^^c]"),
    *("[M:none]", "[M:0/4]", "[M:7/8]", "[L:1/64]", "[L:1/3]", "[I:staff +1]", "[r:0/9]", "[r:"),
    *("\nK:C\n", "\nV:2\n", "\nV:x octave=9\n", "\n\n", "\nX:2\n", "\n%%score (1 {2\n", "\nw:a\n"),
    *("%", "\\", "\\\n", "\0", "\x01", "\r", "\x85", "\u2028", "\ufeff", "é", "🎵", "`", "$", "+"),
    *("\n%%begintext\n", "\n%%endtext\n", "U:n=!trill!\n", "m:~=a\n", "[A-c-e]-", "{/^C}", "Q:\n"),
    *("%Baroque\n", "\n[r:3/0]", "K:\n", "K:H\n", "M:C|\n", "L:0\n", "[Q:1/0=0]", "[]", "[z]"),
]  # fmt: skip


def damaged(rng: random.Random) -> str:
    """Return a seed after a few random edits."""
    text = rng.choice(SEEDS)
    for _ in range(rng.randint(1, 8)):
        at, to = sorted((rng.randrange(len(text) + 1), rng.randrange(len(text) + 1)))
        to = min(to, at + rng.choice([1, 2, 5, 20, 200]))
        kind = rng.randrange(8)
        if kind < 3:
            text = text[:at] + rng.choice(TOKENS) + text[at:]
        elif kind == 3:
            text = text[:at] + text[to:]
        elif kind == 4:
            text = text[:at] + text[at:to] * rng.randint(2, 5) + text[to:]
        elif kind == 5:
            text = (
                text[:at] + chr(rng.choice([rng.randrange(128), rng.randrange(0x3000)])) + text[to:]
            )
        elif kind == 6:
            lines = text.split("\n")
            rng.shuffle(lines)
            text = "\n".join(lines)
        else:
            text = text[:at] + rng.choice(SEEDS)[at:]
        text = text or "X"
    return text


def check(text: str) -> Score:
    """Read a text and assert what holds of every score, however broken its text.

    Raises
    ------
    AssertionError
        When something doesn't hold.
    """
    score = read(text)
    lines = split_lines(text)
    for finding in score.findings:
        assert finding.gate == "syntax", finding
        assert finding.line is None or 1 <= finding.line <= len(lines), finding
        assert finding.column is None or finding.column >= 1, finding
    if score.interleaved:
        assert len({len(voice.bars) for voice in score.voices}) <= 1
    for voice in score.voices:
        for index, bar in enumerate(voice.bars):
            assert bar.number == index + 1, (voice.id, bar)
            _check_bar(bar, lines)
    again = read(finish(score.text).text)
    if not score.findings:
        assert len(again.voices) == len(score.voices)
    bars.check(score)
    head, _, tail = text.partition("[V:")
    accept_line(head, ("[V:" + tail).split("\n")[0])
    return score


def _check_bar(bar, lines: list[str]) -> None:
    lengths: dict[int, Fraction] = {0: Fraction(0)}
    for event in bar.events:
        assert event.duration >= 0, event
        assert all(0 <= pitch <= 127 for pitch in event.pitches), event
        assert set(event.tied_pitches) <= set(event.pitches), event
        assert event.onset == lengths.get(event.overlay, 0) or bar.inner, event
        lengths[event.overlay] = event.onset + event.duration
        if not bar.implied:
            there = lines[event.line - 1][event.column - 1 :]
            assert there.startswith(event.text), (event, there[:20])
    assert lengths[0] == bar.duration, bar


def main() -> None:
    """Run many cases."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    for number in range(options.cases):
        text = damaged(random.Random(f"{options.seed} {number}"))
        try:
            check(text)
        except Exception:
            Path("fuzz-case.abc").write_text(text, errors="surrogatepass", newline="")
            print(f"case {number} fails; it lies in fuzz-case.abc")
            raise
    print(f"{options.cases} cases hold")


if __name__ == "__main__":
    main()
