"""Measures each set of parameters once, whichever search asks for it, and logs it."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass

from model.parameters import TrainingParameters
from model.registry.provenance import digest_recipe
from model.tuning.display import Display
from model.tuning.findings import describe_trial
from model.tuning.record import Measurement, Role, SearchRecord
from model.tuning.trial import Curves, IsHopeless, Measure, Report, Trial


@dataclass(frozen=True)
class Request:
    """
    What is to be measured.

    Attributes
    ----------
    role : Role
    number : int
        Of its kind.
    name : str
        For a person.
    parameters : TrainingParameters
    """

    role: Role
    number: int
    name: str
    parameters: TrainingParameters


class Measuring:
    """
    What a search has measured, and how it comes to more.

    Parameters
    ----------
    record : SearchRecord
    search_id : str
        The run of the search.
    measure : Measure
    made_of : mapping of str to a plain value
        What figures follow from beside the parameters and the data.
    data_sha256 : str
        Of the rows that a search sees.
    display : Display
    """

    def __init__(
        self,
        record: SearchRecord,
        search_id: str,
        measure: Measure,
        made_of: Mapping[str, object],
        data_sha256: str,
        display: Display,
    ) -> None:
        self._record = record
        self._search_id = search_id
        self._measure = measure
        self._made_of = made_of
        self._data_sha256 = data_sha256
        self._display = display
        self._known = record.read_below(search_id)
        self.n_new = 0

    def list_trials(self) -> dict[int, Trial]:
        """The trials that have ended, by their numbers."""
        return {known.number: self._restore(known) for known in self._known if known.role is Role.TRIAL}

    def take(self, request: Request, is_hopeless: IsHopeless, present: Trial | None) -> Trial:
        """
        Measure parameters, or take what is known of them.

        Parameters
        ----------
        request : Request
        is_hopeless : IsHopeless
        present : Trial or None
            What to draw it beside; None where it is that itself.
        """
        role, number, parameters = request.role, request.number, request.parameters
        recipe = digest_recipe({**self._made_of, **asdict(parameters)}, self._data_sha256)
        for known in self._known:
            if (known.role, known.number, known.recipe) == (role, number, recipe):
                return self._restore(known)
        found = self._record.find(recipe)
        run_id = self._record.begin(self._search_id, request.name, role, number, recipe, parameters)
        started = time.monotonic()
        with self._record.marked(run_id):
            report = self._reporter(run_id, request.name)
            trial = self._measure.end_where_hopeless(parameters, found.curves if found else [], is_hopeless)
            source = found.run_id if found and self._measure.is_settled(trial) else None
            if source is None:  # nothing is known, or as far as another search went on with it, and this one goes on
                trial = self._measure.grow(parameters, is_hopeless, report)
            else:
                report(trial.curves)
            findings = describe_trial(trial, present, self._measure, time.monotonic() - started, source)
            self._record.end_measurement(run_id, len(trial.path), trial.is_pruned, findings)
        self.n_new += 1
        self._say(request.name, trial, source)
        return trial

    def _restore(self, known: Measurement) -> Trial:
        path = self._measure.follow(known.parameters, known.curves)[: known.n_steps]
        return Trial(known.parameters, known.curves, path, known.is_pruned)

    def _reporter(self, run_id: str, name: str) -> Report:
        """Log and show what is new of a trial's curves."""
        n_logged = [0] * len(self._measure.windows)

        def report(curves: Curves) -> None:
            for window, curve in enumerate(curves):
                if new := curve[n_logged[window] :]:
                    self._record.log_rounds(run_id, window + 1, n_logged[window] + 1, new)
                    n_logged[window] = len(curve)
            self._display.show(f"{name}, window {len(curves)}, round {len(curves[-1])}")

        return report

    def _say(self, name: str, trial: Trial, source: str | None) -> None:
        rounds = " and ".join(str(self._measure.best_round(curve)) for curve in trial.curves)
        came_to = (
            f"pruned in window {len(trial.curves)} after {len(trial.curves[-1])} rounds"
            if trial.score is None
            else f"{self._measure.metric} {trial.score:.4f}, best after {rounds} rounds"
        )
        self._display.say(f"{name}: {came_to}" + (f"; known from run {source}" if source else ""))
