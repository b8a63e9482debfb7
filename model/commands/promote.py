"""``python -m model promote VERSION --why TEXT``: a person moves the alias `champion`."""

from __future__ import annotations

import os
from argparse import Namespace

from app.registry.store import tracking_uri
from model.errors import PromotionRefused
from model.names import CHAMPION, MODEL_NAME


def run(options: Namespace) -> int:
    """
    Move it.

    Returns
    -------
    int
        0.

    Raises
    ------
    PromotionRefused
        If the gate has not passed the version, or against another champion, and it is not said to be promoted ungated.
    """
    from model.gate.verdict import AGAINST_TAG, PASSED, REASONS_TAG, VERDICT_TAG
    from model.registry.registration import Experiment
    from model.registry.versions import Versions

    versions = Versions(Experiment(tracking_uri(os.environ), MODEL_NAME), MODEL_NAME)
    version = versions.named(options.version)
    tags, champion = versions.tags(version), versions.find(CHAMPION) or ""
    if version == champion:
        raise PromotionRefused(f"{MODEL_NAME} version {version} is the champion already")
    judge = f"python -m model gate {version}"
    if not options.ungated and tags.get(VERDICT_TAG) != PASSED:
        reasons = f" ({tags[REASONS_TAG]})" if tags.get(REASONS_TAG) else ""
        told = (
            f"the gate has refused version {version}{reasons}"
            if VERDICT_TAG in tags
            else f"nobody has judged it: {judge}"
        )
        raise PromotionRefused(f"{told}; --ungated promotes it all the same")
    if not options.ungated and tags.get(AGAINST_TAG) != champion:
        raise PromotionRefused(
            f"version {version} was judged against version {tags.get(AGAINST_TAG) or 'none'}, and the champion is "
            f"version {champion} now; judge it again: {judge}"
        )
    print(versions.promote(version, options.why))
    print("services that follow the alias have it within TREESERVE_POLL_INTERVAL_S; back: python -m model rollback")
    return 0
