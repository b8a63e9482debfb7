"""
One run of the retraining, which goes one step on: a challenger's fate is decided, or a new one is looked for.

All that it knows between runs is in the registry. So it may run as often as one likes, be killed at any point and run
again: a version that was trained is found by its recipe, a verdict by its tags, and an alias is where it is.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import pandas as pd

from model.datasets.dataset import Dataset
from model.errors import PromotionRefused, RegistryUnusable
from model.gate.answers import load_predictor
from model.gate.judge import choose_window, digest_rules
from model.gate.verdict import AGAINST_TAG, PASSED, REASONS_TAG, RULES_TAG, VERDICT_TAG, WINDOW_TAG
from model.names import CHALLENGER, CHAMPION
from model.observed.logs import Logs
from model.observed.period import Period
from model.parameters import Parameters
from model.pipeline.gating import gate
from model.pipeline.steps import train_on
from model.progress import Progress
from model.project import Project
from model.registry.registration import Experiment
from model.registry.versions import Versions
from model.retraining.lock import Lock
from model.retraining.report import Report
from model.retraining.shadowing import judge_shadow
from model.retraining.triggers import find_reasons
from model.rules import GateRules, RetrainingRules

FATE_TAG, DROPPED = "retraining", "dropped"  # of a model version


@dataclass(frozen=True)
class Cycle:
    """
    What a run works with.

    Attributes
    ----------
    project : Project
    experiment : Experiment
    versions : Versions
    parameters : Parameters
        `until` says until when data has arrived; where it is split is reckoned back from there.
    rules : RetrainingRules
    gate_rules : GateRules
    dataset : Dataset
        Until then.
    source : str
        What the data is called.
    logs : Logs
    period : Period
        Of which lines the rules are asked.
    progress : Progress
    now : datetime.datetime
        By which a challenger has shadowed for so long.
    """

    project: Project
    experiment: Experiment
    versions: Versions
    parameters: Parameters
    rules: RetrainingRules
    gate_rules: GateRules
    dataset: Dataset
    source: str
    logs: Logs
    period: Period
    progress: Progress
    now: datetime

    def run(self, lock: Lock) -> Report:
        """Go one step on, and say what it was."""
        champion, challenger = self.versions.find(CHAMPION), self.versions.find(CHALLENGER)
        report = Report(champion or "", challenger or "")
        if challenger and (why_not := self._why_no_challenger(champion, challenger)):
            report.note("challenger", f"version {challenger} is none any more: {why_not}")
            lock.check()
            self.versions.remove(CHALLENGER, why_not)
        elif challenger and champion:
            return self._decide(champion, challenger, lock, report)
        if champion:
            card = load_predictor(f"models:/{self.versions.name}/{champion}").card
            if card is None:
                raise RegistryUnusable(f"version {champion}, the champion, has no card.json: it is not ours to replace")
            task, period, dataset = self.project.task, self.period, self.dataset
            reasons = find_reasons(task, champion, card, self.logs, period, dataset, self.rules, report)
            if not reasons:
                return report.end("nothing to do")
            report.note("called for", "; ".join(reasons))
            if dataset.digest() == card.data.sha256:
                report.note(
                    "data",
                    f"the same that the champion was made of, until {dataset.moments.max():%Y-%m-%d}: nothing is to be "
                    "learnt anew. Bring more, by --data or --data-until MONTH",
                )
                return report.end("nothing new", champion)
        elif any(move.alias == CHAMPION for move in self.versions.moves()):
            raise PromotionRefused(
                f"no version of {self.versions.name} has the alias {CHAMPION}, and one had it: give it back, by "
                "python -m model promote VERSION"
            )
        else:
            report.note("called for", "there is no champion")
        return self._seek(champion, lock, report)

    def _decide(self, champion: str, challenger: str, lock: Lock, report: Report) -> Report:
        set_at = (move.at for move in self.versions.moves() if (move.alias, move.after) == (CHALLENGER, challenger))
        since = next(set_at, None)
        period = Period(datetime.fromisoformat(since) if since else None, self.period.until)
        task = self.project.task
        fate, found = judge_shadow(task, champion, challenger, self.logs, period, self.rules, self.gate_rules, report)
        lock.check()
        if fate == "wait" and since and datetime.fromisoformat(since) < self.now - self._patience:
            self.versions.remove(CHALLENGER, f"undecided after {self.rules.shadow_days} days: {found}")
            return report.end("given up", challenger)
        if fate == "wait":
            return report.end("shadowing", challenger)
        if fate == "drop":
            # First, so that it is not tried again even if this process ends before the alias is gone.
            self.versions.tag(challenger, {FATE_TAG: DROPPED})
            self.versions.remove(CHALLENGER, f"in service it was no better: {found}")
            return report.end("dropped", challenger)
        self.versions.promote(challenger, f"by retraining, after shadowing: {found}", instead_of=champion)
        return report.end("promoted", challenger)

    def _seek(self, champion: str | None, lock: Lock, report: Report) -> Report:
        """Train on what there is, and let the gate judge it."""
        window = choose_window(self.dataset, self.gate_rules.window_days).moments
        parameters = self._split(window.min())
        trained = train_on(self.project, self.dataset, self.source, parameters, self.experiment, False, self.progress)
        version = trained.registered.version
        report.note("trained", f"version {version}, run {trained.registered.run_id}")
        if version == champion:
            return report.end("nothing new", version)
        if why_not := self._was_turned_down(version):
            report.note("known", why_not)
            return report.end("nothing new", version)
        lock.check()
        tags = self.versions.tags(version)
        asked = {
            AGAINST_TAG: champion or "",
            WINDOW_TAG: f"{window.min():%Y-%m-%d} to {window.max():%Y-%m-%d}",
            RULES_TAG: digest_rules(self.project, self.gate_rules),
        }
        if VERDICT_TAG in tags and asked.items() <= tags.items():
            report.note("judged before", f"{tags[VERDICT_TAG]} {tags.get(REASONS_TAG, '')}".strip())
            has_passed = tags[VERDICT_TAG] == PASSED
        else:
            report.verdict = gate(self.project, self.versions, version, self.dataset, self.gate_rules, self.progress)
            has_passed = report.verdict.has_passed
        if not has_passed:
            return report.end("refused", version)
        lock.check()
        if champion is None:
            self.versions.promote(version, "by retraining: the first champion")
            return report.end("promoted", version)
        self.versions.set_challenger(version, "by retraining: the gate has passed it, and it shadows the champion")
        return report.end("challenger", version)

    def _why_no_challenger(self, champion: str | None, challenger: str) -> str:
        """Why a version that has the alias is not to be tried against this champion; empty if it is."""
        if champion == challenger:  # a run was killed after it had promoted it
            return f"version {challenger} is the champion"
        if champion is None:
            return ""
        tags = self.versions.tags(challenger)
        if tags.get(VERDICT_TAG) != PASSED or tags.get(AGAINST_TAG) != champion:
            return f"the gate has not passed it against version {champion}, the champion"
        return ""

    @property
    def _patience(self) -> timedelta:
        return timedelta(days=self.rules.shadow_days)

    def _split(self, window_begins: pd.Timestamp) -> Parameters:
        """The newest rows are kept for the gate, and those before say when to stop."""
        test_from = window_begins.date()
        stop_from = (pd.Timestamp(test_from) - pd.Timedelta(days=self.rules.stop_days)).date()
        return replace(self.parameters, stop_from=stop_from, test_from=test_from)

    def _was_turned_down(self, version: str) -> str:
        """Why a version is not tried again; empty if it was not tried yet."""
        if self.versions.tags(version).get(FATE_TAG) == DROPPED:
            return f"version {version} has shadowed before, and was dropped"
        back = next(
            (move for move in self.versions.moves() if move.kind == "roll back" and move.before == version), None
        )
        return f"version {version} was rolled back by {back.who}: {back.why}" if back else ""
