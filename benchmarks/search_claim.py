"""How often is the best interval found within ten runs? On test functions that are known.

    python benchmarks/search_claim.py

The source of the two-stage search claims that the best interval of temperature and top_p is
found within ten runs. Three functions of temperature and top_p stand for a pass rate; a run
draws 40 pieces from it (binomial noise), as a run of `scoregate search` does. After 10, 14 and 18
runs of the search, and after as many settings of the full grid drawn at random, the setting with
the best figure so far is taken. It counts as found where it lies within one step (.05) of the best
one in temperature and in top_p; the regret is by how much its true rate is below the best. The
full grid has 51 settings. Writes benchmarks/results/search_claim.md.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from scoregate.experiments.search import Search, Setting, full_grid
from scoregate.intervals import wilson

RESULT = Path(__file__).resolve().parent / "results" / "search_claim.md"
RUNS = (10, 14, 18)
PIECES = 40
Rate = Callable[[Setting], float]


def hill(temperature: float, top_p: float, steep: float) -> Rate:
    """Return a rate of .95 at one place that falls off to all sides."""

    def rate(setting: Setting) -> float:
        across = steep * (setting.temperature - temperature) ** 2
        return float(np.clip(0.95 - across - 20 * (setting.top_p - top_p) ** 2, 0.02, 0.98))

    return rate


FUNCTIONS: dict[str, Rate] = {
    "hill between coarse settings (T 1.05, top_p .90)": hill(1.05, 0.90, 1.5),
    "hill on a coarse setting (T 1.2, top_p .85)": hill(1.2, 0.85, 1.5),
    "slope: the colder the better (best T .8, top_p .85)": lambda s: float(
        np.clip(0.95 - 0.35 * (s.temperature - 0.8) - 0.3 * (s.top_p - 0.85), 0.02, 0.98)
    ),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--repeats", type=int, default=20)
    options = parser.parse_args()
    lines = [
        "# Within ten runs?",
        "",
        f"`python benchmarks/search_claim.py --repeats {options.repeats}`",
        "",
        f"{options.repeats} searches of each kind (seeds 1 to {options.repeats}), {PIECES} pieces "
        "a run. Found: within one step of the best setting, with Wilson's interval at 95 %. "
        "Regret: mean over the searches.",
        "",
        "| function | runs | found by the search | regret | found by random settings | regret |",
        "|---|---:|---|---:|---|---:|",
    ]
    for name, rate in FUNCTIONS.items():
        searched = [by_search(rate, seed) for seed in range(1, options.repeats + 1)]
        drawn = [at_random(rate, seed) for seed in range(1, options.repeats + 1)]
        for place, runs in enumerate(RUNS):
            cells = [cell(rate, [each[place] for each in chosen]) for chosen in (searched, drawn)]
            lines.append(f"| {name} | {runs} | {cells[0]} | {cells[1]} |")
    text = "\n".join(lines) + "\n"
    RESULT.write_text(text)
    print(text)


def by_search(rate: Rate, seed: int) -> list[Setting]:
    """Return the best setting so far after each number of RUNS."""
    rng = np.random.default_rng(seed)
    search = Search(None, {}, seed)
    measured: list[tuple[Setting, float]] = []
    while run := search.next_run(RUNS[-1] - 9):
        score = rng.binomial(PIECES, rate(run.setting)) / PIECES
        search.tell(run, score)
        measured.append((run.setting, score))
    return [best(measured[:runs]) for runs in RUNS]


def at_random(rate: Rate, seed: int) -> list[Setting]:
    """Return the same for settings of the full grid in random order."""
    rng = np.random.default_rng(seed)
    grid = full_grid()
    order = [grid[i] for i in rng.permutation(len(grid))[: RUNS[-1]]]
    measured = [(each, rng.binomial(PIECES, rate(each)) / PIECES) for each in order]
    return [best(measured[:runs]) for runs in RUNS]


def best(measured: Sequence[tuple[Setting, float]]) -> Setting:
    """Return the setting with the best mean of its runs."""
    scores: dict[Setting, list[float]] = {}
    for setting, score in measured:
        scores.setdefault(setting, []).append(score)
    return max(scores, key=lambda each: float(np.mean(scores[each])))


def cell(rate: Rate, chosen: Sequence[Setting]) -> str:
    """Return two cells of the table: how many were found, and the regret."""
    top = max(full_grid(), key=rate)
    found = sum(
        abs(each.temperature - top.temperature) < 0.051 and abs(each.top_p - top.top_p) < 0.051
        for each in chosen
    )
    low, high = wilson(found, len(chosen))
    regret = float(np.mean([rate(top) - rate(each) for each in chosen]))
    return f"{found} of {len(chosen)} ({low:.0%} to {high:.0%}) | {regret:.3f}"


if __name__ == "__main__":
    main()
