"""The child process that prepares one model version, says on its standard output what came of it, and ends."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from app.errors import ModelError
from app.model_version import ModelVersion
from app.processes import end_with_parent, hide_unneeded_libraries, work_in_gaps


def main(request: dict[str, Any]) -> dict[str, Any]:
    """
    Prepare what is asked for.

    Returns
    -------
    dict
        As `Prepared.to_json` makes it; or `error`, the name of the `ModelError`, and its `text`.
    """
    from app.preparation.cleaning import clean
    from app.preparation.prepare import prepare
    from app.registry.registry import MlflowRegistry

    registry = MlflowRegistry.from_json(request["registry"])
    folders = [Path(folder) for folder in request["folders"]]
    try:
        prepared = prepare(ModelVersion(**request["version"]), registry, folders)
    except ModelError as error:
        return {"error": type(error).__name__, "text": str(error)}
    clean(registry.cache_dir)
    return prepared.to_json()


if __name__ == "__main__":
    end_with_parent()
    work_in_gaps()
    hide_unneeded_libraries()
    print(json.dumps(main(json.load(sys.stdin))))
