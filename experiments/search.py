"""A search for sampling settings in two stages, kept in an Optuna study on disk.

The coarse stage measures every combination of three temperatures and three values of top_p. The
fine stage moves in steps of .05 around the best of them, where a Gaussian process proposes each
setting from what is known; a setting that is proposed again is measured with the next seed, so
that its figure becomes surer. Every proposal and every score is in the study's SQLite file before
the next step, and each proposal is drawn with a seed of its own: a search that was killed goes on
as if nothing had happened.
"""

from __future__ import annotations

import logging
import sqlite3
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scoregate.errors import RequestError, RunError

if TYPE_CHECKING:
    import optuna

VERSION = 1
"""Version of what a study holds; one of another version is refused."""
FILE = "study.db"
JUDGE = "judge"
"""Setting that says by what the pieces are judged."""
TEMPERATURES = (0.8, 1.2, 1.6)
TOP_PS = (0.85, 0.90, 0.95)
STEP = 0.05
REACH = {"temperature": 0.2, "top_p": 0.05}
"""How far the fine stage goes from the best coarse setting, to both sides."""
COARSE, FINE = "coarse", "fine"


@dataclass(frozen=True, slots=True, order=True)
class Setting:
    """A temperature and a top_p, both on the grid of ``STEP``."""

    temperature: float
    top_p: float

    @classmethod
    def of(cls, values: dict[str, float]) -> Setting:
        """Return the setting of a trial's parameters, without the rounding of floats."""
        return cls(round(values["temperature"], 2), round(values["top_p"], 2))

    def __str__(self) -> str:
        return f"T {self.temperature:g}, top_p {self.top_p:g}"


@dataclass(frozen=True, slots=True)
class Run:
    """A run that was asked for.

    Attributes
    ----------
    stage : str
        ``coarse`` or ``fine``.
    number : int
        Of the trial in its study.
    setting : Setting
    repeat : int
        How often the setting was measured before.
    score : float or None
        None while it is not measured.
    """

    stage: str
    number: int
    setting: Setting
    repeat: int
    score: float | None = None


def coarse_settings() -> list[Setting]:
    """Return the settings of the coarse stage."""
    return [Setting(*pair) for pair in product(TEMPERATURES, TOP_PS)]


def full_grid() -> list[Setting]:
    """Return every setting in steps of ``STEP`` between the outermost coarse ones."""
    return [
        Setting(round(TEMPERATURES[0] + i * STEP, 2), round(TOP_PS[0] + j * STEP, 2))
        for i in range(round((TEMPERATURES[-1] - TEMPERATURES[0]) / STEP) + 1)
        for j in range(round((TOP_PS[-1] - TOP_PS[0]) / STEP) + 1)
    ]


def is_at_edge(runs: Sequence[Run], setting: Setting) -> bool:
    """Return whether a setting lies at the edge of what a search covers: better ones may follow."""
    coarse = [run for run in runs if run.stage == COARSE and run.score is not None]
    if not coarse:
        return False
    middle = max(coarse, key=lambda run: run.score or 0.0).setting
    for name, reach in REACH.items():
        value = getattr(setting, name)
        off = abs(value - getattr(middle, name))
        if off > reach - STEP / 2 and not (name == "top_p" and value > 1 - STEP / 2):
            return True
    return False


class Search:
    """The studies of a search.

    Parameters
    ----------
    folder : Path or None
        Where ``study.db`` is; None keeps the study in memory.
    settings : dict
        What every run has in common, JSON-ready; a study with others is refused.
    seed : int
        Of the proposals.

    Raises
    ------
    RequestError
        Optuna is missing, or the study was made with other settings or by another version.
    RunError
        The study's file is damaged.
    """

    def __init__(self, folder: Path | None, settings: dict[str, Any], seed: int) -> None:
        self._seed = seed
        self._path = folder / FILE if folder else None
        with self._told():
            optuna = _optuna()
            if self._path:
                self._path.parent.mkdir(parents=True, exist_ok=True)
                self._storage: Any = optuna.storages.RDBStorage(f"sqlite:///{self._path}")
            else:
                self._storage = optuna.storages.InMemoryStorage()
            self._coarse = self._study(COARSE)
            self._check(settings)
            self._enqueue()

    def runs(self) -> list[Run]:
        """Return all runs that are measured, in their order."""
        return [run for run in self._all() if run.score is not None]

    def next_run(self, fine: int) -> Run | None:
        """Return the run to measure next: first what a kill left behind; None at the end.

        Parameters
        ----------
        fine : int
            Runs of the fine stage in all.
        """
        with self._told():
            waiting = [run for run in self._all() if run.score is None]
            if waiting:
                return waiting[0]
            if self._unfinished(self._coarse):
                return self._asked(self._coarse, COARSE, _box(None))
            best = self.best_coarse()
            study = self._study(FINE)
            self._seed_fine(study, best)
            if len(_own(study)) >= fine:
                return None
            return self._asked(study, FINE, _box(best))

    def tell(self, run: Run, score: float) -> None:
        """Note the score of a run."""
        with self._told():
            self._study(run.stage).tell(run.number, score)

    def best_coarse(self) -> Setting:
        """Return the best setting of the coarse stage, by the scores as they were told."""
        return Setting.of(self._coarse.best_trial.params)

    def _study(self, stage: str) -> optuna.Study:
        return _optuna().create_study(
            storage=self._storage, study_name=stage, direction="maximize", load_if_exists=True
        )

    def _check(self, settings: dict[str, Any]) -> None:
        known = self._coarse.user_attrs
        if "settings" not in known:
            self._coarse.set_user_attr("version", VERSION)
            self._coarse.set_user_attr("settings", settings)
            return
        remedy = "Name another folder with --folder, or remove this one."
        if known.get("version", VERSION) != VERSION:
            raise RequestError(
                f"The study in {self._path} was made by another version of Scoregate.", remedy
            )
        before = known.get("settings", {})
        for name, value in settings.items():
            if before.get(name) != value and name == JUDGE:
                raise RequestError(
                    f"The study in {self._path} was judged by other gates or another version of "
                    "Scoregate.", remedy,
                )  # fmt: skip
            if before.get(name) != value:
                raise RequestError(
                    f"The study in {self._path} was made with {name.replace('_', ' ')} "
                    f"{before.get(name)!r}, not {value!r}.", remedy,
                )  # fmt: skip

    def _enqueue(self) -> None:
        """Put the coarse settings into the study; those that are there already are left alone."""
        known = {
            Setting.of(trial.params or trial.system_attrs.get("fixed_params", {}))
            for trial in self._coarse.trials
            if trial.params or trial.system_attrs.get("fixed_params")
        }
        for setting in coarse_settings():
            if setting not in known:
                self._coarse.enqueue_trial(
                    {"temperature": setting.temperature, "top_p": setting.top_p}
                )

    def _unfinished(self, study: optuna.Study) -> bool:
        return any(not trial.state.is_finished() for trial in study.trials)

    def _seed_fine(self, study: optuna.Study, best: Setting) -> None:
        """Tell the fine study what the coarse stage knows of its box."""
        if study.trials:
            return
        optuna = _optuna()
        box = _box(best)
        for trial in self._coarse.trials:
            if all(box[name].low <= trial.params[name] <= box[name].high for name in box):
                study.add_trial(
                    optuna.trial.create_trial(
                        params=trial.params, distributions=box, value=trial.value,
                        user_attrs={"from": COARSE},
                    )
                )  # fmt: skip

    def _asked(self, study: optuna.Study, stage: str, box: dict[str, Any]) -> Run:
        optuna = _optuna()
        if stage == COARSE:
            trial = study.ask(box)  # one of those that are enqueued
        else:
            with warnings.catch_warnings(), _one_thread():
                warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
                # A seed for each proposal: what is proposed does not depend on interruptions.
                study.sampler = optuna.samplers.GPSampler(
                    seed=self._seed * 1000 + len(study.trials), n_startup_trials=1
                )
                trial = study.ask(box)
        setting = Setting.of(trial.params)
        return Run(stage, trial.number, setting, self._repeats(setting))

    def _repeats(self, setting: Setting) -> int:
        return sum(run.setting == setting for run in self.runs())

    def _all(self) -> list[Run]:
        found: list[Run] = []
        for stage, study in ((COARSE, self._coarse), (FINE, self._study(FINE))):
            for trial in _own(study):
                if trial.state.name == "WAITING":
                    continue
                if not trial.params:  # killed between the question and the answer
                    self._give_up(study, trial)
                    continue
                setting = Setting.of(trial.params)
                repeat = sum(run.setting == setting for run in found)
                score = trial.value if trial.state.name == "COMPLETE" else None
                found.append(Run(stage, trial.number, setting, repeat, score))
        return found

    def _give_up(self, study: optuna.Study, trial: Any) -> None:
        if trial.state.is_finished():
            return
        fixed = trial.system_attrs.get("fixed_params")
        study.tell(trial.number, state=_optuna().trial.TrialState.FAIL)
        if fixed:
            study.enqueue_trial(fixed)

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Tell a damaged study in the project's own words."""
        from sqlalchemy.exc import SQLAlchemyError

        try:
            yield
        except (SQLAlchemyError, sqlite3.Error, KeyError, RuntimeError) as error:
            raise RunError(
                f"The study in {self._path} can't be used: {str(error).splitlines()[0][:200]}.",
                "Check the disk and the folder's permissions, or name another folder with "
                "--folder; finished cells in this one stay.",
            ) from error


@contextmanager
def _one_thread() -> Iterator[None]:
    """Let torch use one thread: its threads cost more than they save on a dozen points."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _own(study: optuna.Study) -> list[Any]:
    """Return the trials that were asked for in this study, not those of the coarse stage."""
    return [
        trial
        for trial in study.trials
        if "from" not in trial.user_attrs and trial.state.name != "FAIL"
    ]


def _box(best: Setting | None) -> dict[str, Any]:
    """Return the distributions: around a setting, or of the coarse grid where there is none."""
    distribution = _optuna().distributions.FloatDistribution
    if best is None:
        return {
            "temperature": distribution(TEMPERATURES[0], TEMPERATURES[-1], step=STEP),
            "top_p": distribution(TOP_PS[0], TOP_PS[-1], step=STEP),
        }
    box = {}
    for name, reach in REACH.items():
        middle = getattr(best, name)
        highest = 1.0 if name == "top_p" else 10.0
        low, high = max(middle - reach, STEP), min(middle + reach, highest)
        box[name] = distribution(round(low, 2), round(high, 2), step=STEP)
    return box


def _optuna() -> Any:
    try:
        import optuna
    except ImportError as error:
        raise RequestError("A search needs Optuna.", "pip install 'scoregate[search]'") from error
    optuna.logging.set_verbosity(logging.WARNING)
    return optuna
