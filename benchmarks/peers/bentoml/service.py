"""BentoML's service around XGBoost, as its XGBoost example has it."""

import os

import bentoml
import numpy as np
import xgboost


@bentoml.service(workers=1, logging={"access": {"enabled": False}})
class FlightDelay:
    def __init__(self) -> None:
        self.booster = xgboost.Booster({"nthread": 1}, model_file=os.environ["MODEL_FILE"])

    @bentoml.api
    def predict(self, data: np.ndarray) -> np.ndarray:
        return self.booster.predict(xgboost.DMatrix(data))
