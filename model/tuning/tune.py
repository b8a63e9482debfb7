"""A search from end to end: what is known, what is measured yet, and what came of it."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from pathlib import Path

from app.registry.store import PROJECT_ROOT
from model.names import MODEL_NAME
from model.parameters import Parameters, TrainingParameters
from model.pipeline.steps import read_instances
from model.progress import Progress
from model.project import Project
from model.registry.provenance import digest_recipe, library_versions, read_commit
from model.registry.registration import Experiment
from model.training.fit import check_device
from model.tuning.comparison import N_OTHER_SEEDS, Comparison
from model.tuning.display import Display
from model.tuning.findings import describe_search, rank
from model.tuning.lock import alone
from model.tuning.measuring import Measuring, Request
from model.tuning.record import Role, SearchRecord
from model.tuning.search import Search
from model.tuning.space import SPACE, describe_space, put_values
from model.tuning.trial import Measure, Trial
from model.tuning.windows import count_rows, drop_test_rows, list_spans, make_windows, prefers_higher

_MOST_SEED = 2**31  # that a seed must be less than


@dataclass(frozen=True)
class Found:
    """
    What a search came to.

    Attributes
    ----------
    search_id : str
        Its run in MLflow.
    trials : list of Trial
        In their order, with those of before.
    n_new : int
        How many sets of parameters were measured now, or taken over from another search.
    metric : str
    comparison : Comparison
    """

    search_id: str
    trials: list[Trial]
    n_new: int
    metric: str
    comparison: Comparison

    @property
    def n_pruned(self) -> int:
        """How many of the trials ended early, without hope."""
        return sum(trial.is_pruned for trial in self.trials)


def tune(
    project: Project,
    parameters: Parameters,
    folder: Path | None,
    tracking_uri: str,
    n_trials: int,
    seed: int,
    progress: Progress,
) -> Found:
    """
    Search, from where the same search ended before.

    Parameters
    ----------
    project : Project
    parameters : Parameters
        The split, and the training parameters that are not searched and that the best are compared with.
    folder : pathlib.Path or None
        Where the data is; None is where it is published.
    tracking_uri : str
        MLflow's.
    n_trials : int
        How many there are to be, with those of before.
    seed : int
        Of the search.
    progress : Progress

    Raises
    ------
    TrainingError
        If the data, the device or the store is not fit for it, or the same search runs already.
    """
    check_device(parameters.train.device)
    progress.say(f"importing MLflow, and opening {tracking_uri}")
    record = SearchRecord(Experiment(tracking_uri, f"{MODEL_NAME}-search"))
    source = project.name_source(folder)
    progress.say(f"reading {source}")
    dataset = read_instances(project, folder, parameters.until, progress)
    visible = drop_test_rows(dataset, parameters, project.time_zone)
    windows = make_windows(visible, parameters, project.time_zone)
    data_sha256 = visible.digest()
    settings = dict(project.task.booster_parameters)
    measure = Measure(windows, settings, prefers_higher(windows[0], settings))
    made_of = {"spans": list_spans(parameters), **settings}
    study = {
        **{name: value for name, value in asdict(parameters.train).items() if name not in SPACE},
        **{f"search_{name}": text for name, text in describe_space().items()},
        "search_seed": seed,
        **made_of,
    }
    digest = digest_recipe(study, data_sha256)
    spans = " and ".join(window.name for window in windows)
    told = study | {"spans": spans, "data": source, "data_sha256": data_sha256} | count_rows(windows)
    progress.say(f"search {digest[:8]}: {visible.n_rows:,} rows until before {parameters.test_from}, and none after")
    with alone(f"search-{digest_recipe({'store': tracking_uri}, digest)[:16]}"):
        search_id, has_ended = record.open_search(digest, told, _list_tags())
        with record.marked(search_id), Display(n_trials, progress) as display:
            measuring = Measuring(record, search_id, measure, made_of, data_sha256, display)
            present = measuring.take(
                Request(Role.PRESENT, 0, "present parameters", parameters.train), _never_hopeless, None
            )
            trials, search = _go_on(measuring, measure, parameters.train, n_trials, seed, present, display)
            best = rank(trials, measure.is_higher_better)[0]
            comparison = _compare(measuring, best, present, measure.is_higher_better)
            if measuring.n_new or not has_ended:
                display.say("drawing what came of it")
                record.end(search_id, describe_search(trials, comparison, search.weigh_parameters(), measure))
    return Found(search_id, trials, measuring.n_new, measure.metric, comparison)


def _go_on(
    measuring: Measuring,
    measure: Measure,
    fixed: TrainingParameters,
    n_trials: int,
    seed: int,
    present: Trial,
    display: Display,
) -> tuple[list[Trial], Search]:
    """Measure the trials that are missing; all of them in their order, and the search that knows them."""
    ended = measuring.list_trials()
    missing = [number for number in range(n_trials) if number not in ended]
    display.begin(n_trials - len(missing))
    for number in missing:
        search = Search(seed, measure.is_higher_better, [ended[n] for n in range(number)])
        request = Request(Role.TRIAL, number, f"trial {number}", put_values(fixed, search.propose()))
        ended[number] = measuring.take(request, search.is_hopeless, present)
        display.count()
    trials = [ended[number] for number in sorted(ended)]
    return trials, Search(seed, measure.is_higher_better, trials)


def _compare(measuring: Measuring, best: Trial, present: Trial, is_higher_better: bool) -> Comparison:
    """Measure the best and the present parameters with other seeds, unless they are the same."""
    again: dict[str, list[Trial]] = {"best": [], "present": []}
    if best.parameters != present.parameters:
        for number in range(1, N_OTHER_SEEDS + 1):
            for name, trial in (("best", best), ("present", present)):
                other = replace(trial.parameters, seed=(trial.parameters.seed + number) % _MOST_SEED)
                request = Request(Role.CHECK, number, f"{name} parameters, seed {other.seed}", other)
                again[name].append(measuring.take(request, _never_hopeless, present))
    return Comparison(best, present, again["best"], again["present"], is_higher_better)


def _never_hopeless(step: int, value: float) -> bool:  # noqa: ARG001  asked as a search is
    return False


def _list_tags() -> dict[str, str]:
    return {
        "git_commit": read_commit(PROJECT_ROOT) or "none",
        **{f"library.{name}": version for name, version in library_versions().items()},
    }
