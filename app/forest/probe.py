"""
Opens a booster in a process of its own, because XGBoost can crash on a damaged file.

``python -m app.forest.probe PATH`` opens it and answers two rows; how that ends is all it says.
"""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

from app.errors import ModelUnfit
from app.memory import find_memory_left, keep_to
from app.processes import end_with_parent, hide_unneeded_libraries, python_module, work_in_gaps

_TIMEOUT_S = 120.0


def probe_booster(path: Path) -> None:
    """
    Refuse a booster that takes the process down that opens it.

    An ordinary error of XGBoost's is left to whoever opens the file next, and can report it.

    Raises
    ------
    ModelUnfit
        If the process ends by a signal, or not at all.
    MemoryError
        If it was killed.
    """
    try:
        ended = subprocess.run(
            [*python_module("app.forest.probe"), str(path)], capture_output=True, timeout=_TIMEOUT_S, check=False
        )
    except subprocess.TimeoutExpired:
        raise ModelUnfit(f"XGBoost does not finish to read {path.name} within {_TIMEOUT_S:.0f} s") from None
    if ended.returncode == -signal.SIGKILL:  # which nobody does to himself
        raise MemoryError(f"the process that opened {path.name} was killed, as Linux does where memory runs out")
    if ended.returncode < 0:
        raise ModelUnfit(
            f"XGBoost crashes ({signal.Signals(-ended.returncode).name}) on {path.name}: the file is damaged; "
            "register the model version again"
        )


def _open(path: Path) -> None:
    end_with_parent()
    work_in_gaps()
    hide_unneeded_libraries()
    import numpy as np

    from app.forest.xgboost_forest import XGBoostForest

    with keep_to(find_memory_left()):
        forest = XGBoostForest(path, stops_at_best_iteration=False)
        n_features = len(forest.document.features)
        forest.predictions(np.vstack([np.zeros(n_features), np.full(n_features, np.nan)]).astype(np.float32))


if __name__ == "__main__":
    _open(Path(sys.argv[1]))
