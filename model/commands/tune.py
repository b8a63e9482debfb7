"""``python -m model tune``: searches for better training parameters, and says what it came to."""

from __future__ import annotations

import os
from argparse import Namespace

from app.registry.store import tracking_uri
from model.errors import ParameterInvalid, TrainingError
from model.parameters import PARAMETERS, read_parameters
from model.progress import Progress, quieten_libraries


def run(options: Namespace) -> int:
    """Search, and say what came of it; the exit code."""
    if options.trials < 1:
        raise ParameterInvalid(f"--trials is {options.trials}; it must be at least 1")
    parameters = read_parameters()
    progress = Progress()
    progress.say("importing pandas, XGBoost and Optuna")
    quieten_libraries()
    try:
        from model.tuning.tune import tune
    except ModuleNotFoundError as error:
        if error.name not in {"optuna", "tqdm"}:
            raise
        raise TrainingError(f"the search needs {error.name}: requirements/install.sh tune brings it") from None
    from model.project import load_project
    from model.tuning.findings import list_gains
    from model.tuning.params_file import render_values, write_values
    from model.tuning.space import take_values

    uri = tracking_uri(os.environ)
    found = tune(load_project(), parameters, options.data, uri, options.trials, options.seed, progress)
    comparison = found.comparison
    values = take_values(comparison.best.parameters)
    progress.say("done" if found.n_new else "all of it was known")
    print(
        f"\n{len(found.trials)} trials, {found.n_pruned} of them pruned\nrun {found.search_id}\n"
        f"{found.metric}, mean of the windows: {list_gains(comparison)}\n\n{render_values(values)}"
    )
    if not comparison.is_better:
        print("next: nothing, for params.yaml is as good as what was found; or more --trials, or another --seed")
    elif options.write:
        write_values(values, PARAMETERS)
        print(f"written into {PARAMETERS}\nnext: make repro trains with them and measures on the test rows")
    else:
        print(
            "next: the same command with --write puts them into params.yaml, then make repro; make mlflow-ui shows all"
        )
    return 0
