"""
What Optuna is asked: which parameters to try next, and whether a trial is worth going on with.

Optuna keeps nothing. Each question is answered from the trials that have ended and from the search's seed, so that a
search that was interrupted goes on as if it had not been.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import optuna
from optuna.trial import TrialState, create_trial

from model.tuning.space import SPACE, Values, round_values, take_values
from model.tuning.trial import IsHopeless, Trial

N_AT_RANDOM = 10  # trials before the first that is chosen by what the others came to
_N_UNPRUNED = 5  # trials before the first that may be pruned
# Of a hundred whole trials, those that a trial has to be among at each step. By the usual 50 most of the best trials
# would be pruned, for a score differs by luck as much as two of them do (docs/decisions/0025-search.md).
_KEPT_PERCENT = 67


class Search:
    """
    A search, as far as it has come.

    Parameters
    ----------
    seed : int
    is_higher_better : bool
    ended : sequence of Trial
        In their order.
    """

    def __init__(self, seed: int, is_higher_better: bool, ended: Sequence[Trial]) -> None:
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self._study = optuna.create_study(
            sampler=optuna.samplers.TPESampler(n_startup_trials=N_AT_RANDOM, seed=_mix(seed, len(ended))),
            direction="maximize" if is_higher_better else "minimize",
        )
        self._study.add_trials([_tell(trial) for trial in ended])
        self._pruner = optuna.pruners.PercentilePruner(_KEPT_PERCENT, n_startup_trials=_N_UNPRUNED)

    def propose(self) -> Values:
        """What to try next."""
        return round_values(self._study.ask(dict(SPACE)).params)

    @property
    def is_hopeless(self) -> IsHopeless:
        """Whether a trial is among the worst third at a step, beside the whole ones."""

        def judge(step: int, value: float) -> bool:
            # Of its path only this step: the pruner takes the best of all that it is told, and a mean with another
            # window is another figure.
            state, reached = TrialState.RUNNING, {step: value}
            return bool(self._pruner.prune(self._study, create_trial(state=state, intermediate_values=reached)))

        return judge

    def weigh_parameters(self) -> dict[str, float]:
        """
        How much of the differences between the whole trials each parameter explains, the most important first.

        Returns
        -------
        dict of str to float
            Shares that add up to 1; empty where there is too little to tell.
        """
        whole = self._study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
        if len({trial.value for trial in whole}) < _N_UNPRUNED:
            return {}
        evaluator = optuna.importance.FanovaImportanceEvaluator(seed=0)
        return dict(optuna.importance.get_param_importances(self._study, evaluator=evaluator))


def _tell(trial: Trial) -> optuna.trial.FrozenTrial:
    return create_trial(
        state=TrialState.PRUNED if trial.is_pruned else TrialState.COMPLETE,
        value=trial.score,
        params=take_values(trial.parameters),
        distributions=dict(SPACE),
        intermediate_values=dict(enumerate(trial.path)),
    )


def _mix(seed: int, number: int) -> int:
    """A seed for each trial of a search: the random numbers do not depend on how many trials ago it began."""
    return int.from_bytes(hashlib.sha256(f"{seed} {number}".encode()).digest()[:4])
