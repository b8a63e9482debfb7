"""
KServe's model server around XGBoost.

Its own `xgbserver` is an image and not a package; this does for a request what that does.
"""

import os

import kserve
import xgboost
from kserve.utils.utils import get_predict_input, get_predict_response


class XGBoostModel(kserve.Model):
    def load(self) -> bool:
        self._booster = xgboost.Booster({"nthread": 1}, model_file=os.environ["MODEL_FILE"])
        self.ready = True
        return self.ready

    def predict(self, payload, headers=None, response_headers=None):
        instances = xgboost.DMatrix(get_predict_input(payload), nthread=1)
        return get_predict_response(payload, self._booster.predict(instances), self.name)


if __name__ == "__main__":
    model = XGBoostModel("flight-delay")
    model.load()
    kserve.ModelServer().start([model])
