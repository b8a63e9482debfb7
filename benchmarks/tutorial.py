"""
What tutorials make of FastAPI, pydantic and XGBoost: a model served in thirty lines, to measure the service beside.

``python -m benchmarks.tutorial MODEL_FOLDER PORT`` answers the service's own bodies at ``/predict``. It is the quick
version: categories are looked up in dictionaries, not by pandas, the endpoint is not sent to a thread, and there is no
access log. (FastAPI reads the annotations of the endpoint, so they are not put off with ``from __future__``.)
"""

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import uvicorn
import xgboost
from fastapi import FastAPI
from pydantic import BaseModel, create_model


class Answer(BaseModel):
    """What is answered."""

    predictions: list[float]


def create_app(model_folder: Path) -> FastAPI:
    """The app around a model folder that holds ``model.ubj`` and, if the model has categories, its card."""
    booster = xgboost.Booster({"nthread": 1}, model_file=model_folder / "model.ubj")
    types = dict(zip(booster.feature_names or [], booster.feature_types or [], strict=True))
    codes: dict[str, dict[str, int]] = {}
    if "c" in types.values():
        card = json.loads((model_folder / "extra_files" / "card.json").read_text(encoding="utf-8"))
        codes = {
            name: {category: code for code, category in enumerate(categories)}
            for name, categories in card["categories"].items()
        }
    fields: dict[str, Any] = {name: (str if name in codes else float | None, None) for name in types}
    instance_type = create_model("Instance", **fields)
    body_type = create_model("Body", instances=(list[instance_type], ...))

    def to_number(name: str, value: Any) -> float | None:
        return codes[name].get(value) if name in codes else value

    app = FastAPI()

    @app.post("/predict")
    async def predict(body: body_type) -> Answer:
        rows = [[to_number(name, getattr(instance, name)) for name in types] for instance in body.instances]  # type: ignore[attr-defined]
        matrix = xgboost.DMatrix(
            np.array(rows, dtype=np.float32),
            feature_names=list(types),
            feature_types=list(types.values()),
            enable_categorical=True,
            nthread=1,
        )
        return Answer(predictions=booster.predict(matrix).tolist())

    return app


if __name__ == "__main__":
    uvicorn.run(create_app(Path(sys.argv[1])), port=int(sys.argv[2]), log_level="warning", access_log=False)
