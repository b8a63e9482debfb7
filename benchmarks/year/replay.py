"""The replay itself: flights are asked, weeks later told, and retraining looks at the logs once a week."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import deque
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.metrics import roc_auc_score

from app.observed.bins import PROFILE_DATASET
from benchmarks.year.flights import LAG, Week, last_known_month
from benchmarks.year.record import Event, Figures, Month, Record
from benchmarks.year.services import Calls, Service
from model.datasets.instances import to_instances
from model.observed.drift import measure_drift
from model.observed.log_lines import LogReader
from model.observed.logs import LogFiles
from model.observed.period import Period
from model.training.evaluation import calibration_error
from tests.processes import PROJECT, clean_environment
from tests.services import wait

_BATCH, _OUTCOMES_AT_ONCE = 200, 1_000
_TOLD_WITHIN_S = 90.0
_RETRAINS_WITHIN_S = 900.0
_QUIET = ("nothing to do", "nothing new", "shadowing")


@dataclass
class Asked:
    """The flights of a week, what both services answered, and under which request."""

    week: Week
    requests: list[str]
    answers: np.ndarray
    never: np.ndarray
    versions: list[str]
    n_unknown: int


@dataclass
class Replay:
    """
    A year on its way.

    Attributes
    ----------
    retrained, never : Service
    calls : Calls
        What is asked beside, all the time.
    folder : pathlib.Path
        For what commands write.
    tracking_uri : str
    first_until : str
        The last month that the first model was made of.
    data : pathlib.Path or None
        What `retrain` reads; None is the published data.
    record : Record
    """

    retrained: Service
    never: Service
    calls: Calls
    folder: Path
    tracking_uri: str
    first_until: str
    data: Path | None = None
    record: Record = field(default_factory=Record)
    _untold: deque[Asked] = field(default_factory=deque)

    def play_month(self, weeks: list[Week]) -> Month:
        """Ask a month's flights, let retraining look after each week, and measure the month."""
        begun = asked_at = datetime.now(UTC)
        asked = []
        for week in weeks:
            asked.append(self._ask(week))
            asked_at = datetime.now(UTC)
            self._untold.append(asked[-1])
            self._tell(week.end)
            self._retrain(week.end)
        self._await_profiles(asked_at)
        period = Period(begun, datetime.now(UTC))
        month = self._measure(asked, period)
        self.record.months.append(month)
        return month

    def finish(self) -> None:
        """Tell what came true of the last weeks too."""
        self._tell(None)
        self.record.n_requests += self.retrained.caller.n_requests + self.never.caller.n_requests
        self.record.failures += self.retrained.caller.failures + self.never.caller.failures

    def _ask(self, week: Week) -> Asked:
        instances = to_instances(week.flights.features)
        self.calls.instances = instances
        known = self._known_destinations()
        requests: list[str] = []
        answers: list[float] = []
        never: list[float] = []
        versions: list[str] = []
        for start in range(0, len(instances), _BATCH):
            batch = {"instances": instances[start : start + _BATCH]}
            request_id = f"{week.start:%Y-%m-%d}-{start}"
            answer = self.retrained.caller.ask("POST", "/predict", batch, request_id)
            other = self.never.caller.ask("POST", "/predict", batch, request_id)
            n_asked = len(batch["instances"])
            lost = [np.nan] * n_asked
            requests.append(request_id)
            answers += lost if answer is None else answer["predictions"]
            never += lost if other is None else other["predictions"]
            versions += [""] * n_asked if answer is None else [answer["model"]["version"]] * n_asked
        n_unknown = int((~week.flights.features["dest"].isin(known)).sum())
        return Asked(week, requests, np.array(answers), np.array(never), versions, n_unknown)

    def _tell(self, now: pd.Timestamp | None) -> None:
        """Send the outcomes that are known by then, and none that is not."""
        while self._untold and (now is None or self._untold[0].week.end + LAG <= now):
            told = self._untold.popleft()
            outcomes = [
                {
                    "request_id": told.requests[row // _BATCH],
                    "instance": row % _BATCH,
                    "outcome": int(outcome),
                    "observed_at": datetime.now(UTC).isoformat(),
                }
                for row, outcome in enumerate(told.week.flights.outcomes)
            ]
            for start in range(0, len(outcomes), _OUTCOMES_AT_ONCE):
                self.retrained.caller.ask(
                    "POST", "/feedback", {"outcomes": outcomes[start : start + _OUTCOMES_AT_ONCE]}
                )
            self.record.n_outcomes += len(outcomes)

    def _retrain(self, now: pd.Timestamp) -> None:
        """Run the command, and have the service follow what it did."""
        since = self.record.months[-1].since if self.record.months else None
        command = [sys.executable, "-m", "model", "retrain", *self.retrained.logs()]
        command += ["--data-until", max(self.first_until, last_known_month(now)), "--json"]
        command += ["--since", since] if since else []
        command += ["--data", str(self.data)] if self.data else []
        environment = clean_environment(
            self.folder,
            PYTHONPATH=str(PROJECT),
            MLFLOW_TRACKING_URI=self.tracking_uri,
            TREESERVE_CACHE_DIR=str(self.folder / "cache"),
        )
        ended = subprocess.run(
            command,
            env=environment,
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=_RETRAINS_WITHIN_S,
            check=False,
        )
        if ended.returncode:
            raise RuntimeError(f"retraining failed: {ended.stdout}{ended.stderr}")
        report = json.loads(ended.stdout.splitlines()[-1])
        with (self.folder / "retrainings.jsonl").open("a") as file:
            file.write(json.dumps({"now": f"{now:%Y-%m-%d}", **report}) + "\n")
        outcome, version = report["outcome"], report["version"]
        if outcome not in _QUIET and (outcome, version) not in [
            (event.outcome, event.version) for event in self.record.events
        ]:
            why = [
                f"{check['name']}: {check['seen']}"
                for check in (report["gate"] or {"checks": []})["checks"]
                if not check["passed"]
            ]
            told = "; ".join(why) or "; ".join(step["found"] for step in report["steps"] if step["step"] == "shadow")
            self.record.events.append(Event(f"{now:%Y-%m-%d}", outcome, version, told))
        champion = version if outcome == "promoted" else report["champion"]
        challenger = {"challenger": version, "shadowing": version}.get(outcome, "")
        self.retrained.follow(champion, challenger)

    def _await_profiles(self, asked_at: datetime) -> None:
        """Until both services have told what they had counted at a time."""
        for service in (self.retrained, self.never):
            for _ in wait(_TOLD_WITHIN_S, every_s=0.5):
                if _last_profile(service.logs()) >= asked_at:
                    break

    def _measure(self, asked: list[Asked], period: Period) -> Month:
        outcomes = np.concatenate([each.week.flights.outcomes for each in asked])
        versions = sorted({version for each in asked for version in each.versions if version}, key=int)
        first = self.never.version()
        return Month(
            asked[0].week.month,
            str(period.since),
            str(period.until),
            len(outcomes),
            float(outcomes.mean()),
            sum(each.n_unknown for each in asked),
            _figures(outcomes, [each.answers for each in asked], self.retrained, period, versions),
            _figures(outcomes, [each.never for each in asked], self.never, period, [first]),
        )

    def _known_destinations(self) -> set[str]:
        model = self.retrained.caller.ask("GET", "/model")
        (destinations,) = [each["categories"] for each in model["signature"]["features"] if each["name"] == "dest"]
        return set(destinations)


def _last_profile(logs: list[str]) -> datetime:
    """When a service told last what it had counted."""
    told = [line["@timestamp"] for line in LogReader(logs).read(PROFILE_DATASET)]
    return max(map(datetime.fromisoformat, told), default=datetime.fromtimestamp(0, UTC))


def _figures(
    outcomes: np.ndarray, parts: list[np.ndarray], service: Service, period: Period, versions: list[str]
) -> Figures:
    predictions = np.concatenate(parts)
    drifts = [measure_drift(LogFiles(service.logs()).profile_lines(period), version=version)[1] for version in versions]
    of_features = [drift.psi for of_version in drifts for drift in of_version if drift.kind == "feature"]
    of_predictions = [drift.psi for of_version in drifts for drift in of_version if drift.kind == "prediction"]
    answered = np.isfinite(predictions)
    return Figures(
        float(roc_auc_score(outcomes[answered], predictions[answered])),
        calibration_error(outcomes[answered], predictions[answered]),
        float(np.mean(of_predictions)),
        float(np.mean(of_features)),
        versions,
    )
