"""LitServe around XGBoost; without batching, which waits for other requests."""

import os
import sys

import litserve
import numpy as np
import xgboost


class FlightDelay(litserve.LitAPI):
    def setup(self, device):
        self.booster = xgboost.Booster({"nthread": 1}, model_file=os.environ["MODEL_FILE"])

    def decode_request(self, request):
        return np.asarray(request["instances"], dtype=np.float32)

    def predict(self, rows):
        return self.booster.predict(xgboost.DMatrix(rows))

    def encode_response(self, predictions):
        return {"predictions": predictions.tolist()}


if __name__ == "__main__":
    server = litserve.LitServer(FlightDelay(), accelerator="cpu", workers_per_device=1)
    server.run(
        host="127.0.0.1", port=int(sys.argv[1]), num_api_servers=1, generate_client_file=False, log_level="warning"
    )
