"""``python -m model rollback --why TEXT``: the alias `champion` goes back."""

from __future__ import annotations

import os
from argparse import Namespace

from app.registry.store import tracking_uri
from model.names import MODEL_NAME


def run(options: Namespace) -> int:
    """
    Move it back.

    Returns
    -------
    int
        0.

    Raises
    ------
    PromotionRefused
        If it is not known where to.
    """
    from model.registry.registration import Experiment
    from model.registry.versions import Versions

    versions = Versions(Experiment(tracking_uri(os.environ), MODEL_NAME), MODEL_NAME)
    print(versions.roll_back(options.why))
    print("services that follow the alias have it within TREESERVE_POLL_INTERVAL_S")
    return 0
