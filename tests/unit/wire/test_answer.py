"""An answer says who answered, and every digit of what."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.errors import Fault, FaultCode, PredictionNotFinite
from app.model_version import ModelVersion
from app.wire.answer import AnswerEncoder, encode_predictions

ANSWERS = AnswerEncoder(ModelVersion("Größe", "7", None, None, "/x", is_immutable=True))


def test_an_answer_says_who_answered() -> None:
    """Request, model and version stand in it; warnings only where there are any."""
    predictions = np.array([[0.25, 0.75]], dtype=np.float32)
    bare = {"request_id": "r", "model": {"name": "Größe", "version": "7"}, "predictions": [[0.25, 0.75]]}
    assert json.loads(ANSWERS.encode("r", encode_predictions(predictions), ())) == bare
    warning = Fault("/instances/0/x", FaultCode.UNKNOWN_CATEGORY, "d")
    told = {"pointer": "/instances/0/x", "code": "unknown_category", "detail": "d"}
    assert json.loads(ANSWERS.encode("r", encode_predictions(predictions), [warning])) == bare | {"warnings": [told]}


@pytest.mark.parametrize("values", [[math.nan], [math.inf], [0.5, -math.inf], [[0.5, 0.5], [0.5, math.nan]]])
def test_an_answer_is_never_nan_in_json(values: list[Any]) -> None:
    """JSON has no such number; the instance is told."""
    with pytest.raises(PredictionNotFinite, match=rf"instance {len(values) - 1} is not a finite number"):
        encode_predictions(np.array(values, dtype=np.float32))


@given(st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), min_size=1, max_size=5))
def test_a_prediction_is_read_back_as_the_same_float32(values: list[float]) -> None:
    """No digit is lost on the way out."""
    answer = json.loads(ANSWERS.encode("r", encode_predictions(np.array(values, dtype=np.float32)), ()))
    assert answer["predictions"] == values
