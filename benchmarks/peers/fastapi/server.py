"""The server of many a tutorial: FastAPI, a pydantic model, a DMatrix."""

import os
import sys

import numpy as np
import uvicorn
import xgboost
from fastapi import FastAPI
from pydantic import BaseModel


class Flight(BaseModel):
    hour: int
    minute: int
    day_of_week: int
    distance: int
    sched_minutes: int
    temp: float | None = None
    dewp: float | None = None
    humid: float | None = None
    wind_dir: float | None = None
    wind_speed: float | None = None
    precip: float | None = None
    pressure: float | None = None
    visib: float | None = None
    plane_age: float | None = None
    seats: float | None = None


class Request(BaseModel):
    instances: list[Flight]


class Answer(BaseModel):
    predictions: list[float]


app = FastAPI()
booster = xgboost.Booster({"nthread": 1}, model_file=os.environ["MODEL_FILE"])


@app.post("/predict")
def predict(request: Request) -> Answer:
    rows = np.array([list(flight.model_dump().values()) for flight in request.instances], dtype=np.float32)
    instances = xgboost.DMatrix(rows)
    return Answer(predictions=booster.predict(instances).tolist())


if __name__ == "__main__":
    uvicorn.run(app, port=int(sys.argv[1]), access_log=False)
