"""Ray Serve around XGBoost: one replica, on a Ray of its own on this machine."""

import os
import signal
import sys
import tempfile

import numpy as np
import ray
import xgboost
from ray import serve
from ray.serve.config import HTTPOptions
from ray.serve.schema import LoggingConfig
from starlette.requests import Request


@serve.deployment(num_replicas=1, max_ongoing_requests=1000, logging_config=LoggingConfig(enable_access_log=False))
class FlightDelay:
    def __init__(self, model_file: str) -> None:
        self.booster = xgboost.Booster({"nthread": 1}, model_file=model_file)

    async def __call__(self, request: Request) -> dict[str, list[float]]:
        body = await request.json()
        rows = xgboost.DMatrix(np.asarray(body["instances"], dtype=np.float32), nthread=1)
        return {"predictions": self.booster.predict(rows).tolist()}


if __name__ == "__main__":
    # Ray's sockets need a short path, and its files are not to stay.
    with tempfile.TemporaryDirectory(prefix="ray-") as folder:
        ray.init(num_cpus=2, include_dashboard=False, _temp_dir=folder)
        signal.signal(signal.SIGTERM, lambda *_: sys.exit())  # Ray's own handler ends the process at once
        try:
            serve.start(http_options=HTTPOptions(host="127.0.0.1", port=int(sys.argv[1])))
            serve.run(FlightDelay.bind(os.environ["MODEL_FILE"]), blocking=True)
        finally:
            ray.shutdown()
