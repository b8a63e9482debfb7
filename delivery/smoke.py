"""The smoke test of a service that has just been deployed: it predicts, and by the right model."""

from __future__ import annotations

import json
import math
from http.client import HTTPConnection, HTTPException
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

from delivery.errors import DeliveryFailed

_PATIENCE_S = 10
_REQUEST_ID = "smoke-test-"  # with which what it predicts is told from other lines of the payload log


def try_service(url: str) -> str:
    """
    Let a service predict the example that it gives of itself, and refuse what is no request.

    Parameters
    ----------
    url : str
        Where it answers, such as ``http://127.0.0.1:8080``.

    Returns
    -------
    str
        What serves: name and version of the model.

    Raises
    ------
    DeliveryFailed
        If an answer is not what it has to be.
    """
    _ask(url, "GET", "/readyz", 200)
    model = _ask(url, "GET", "/model", 200)
    answer: Any = None
    try:
        example = model["input_example"]
        answer = _ask(url, "POST", "/predict", 200, example)
        predictions = answer["predictions"]
        is_right = len(predictions) == len(example["instances"]) and all(map(_is_finite, predictions))
        served = f"{model['name']} {model['version']}"
    except (KeyError, TypeError):
        raise DeliveryFailed(
            f"/model or /predict does not answer as treeserve does: {str(answer or model)[:200]}"
        ) from None
    if not is_right:
        raise DeliveryFailed(f"/predict answers {len(example['instances'])} instances with {str(predictions)[:200]}")
    _ask(url, "POST", "/predict", 422, {"instances": [{"no such feature": 1}]})
    return served


def _is_finite(prediction: Any) -> bool:
    """Whether a prediction, or each class's, is a number."""
    if isinstance(prediction, list):
        return bool(prediction) and all(_is_finite(part) for part in prediction)
    return isinstance(prediction, int | float) and math.isfinite(prediction)


def _ask(url: str, method: str, path: str, status: int, body: Any = None) -> Any:
    connection = HTTPConnection(urlsplit(url).netloc, timeout=_PATIENCE_S)
    try:
        sent = None if body is None else json.dumps(body)
        headers = {"Content-Type": "application/json", "X-Request-ID": f"{_REQUEST_ID}{uuid4()}"}
        connection.request(method, path, sent, headers)
        response = connection.getresponse()
        received = response.read()
    except (OSError, HTTPException) as error:
        raise DeliveryFailed(f"{path} does not answer: {error!r}") from None
    finally:
        connection.close()
    if response.status != status:
        raise DeliveryFailed(
            f"{path} answers {response.status}, not {status}: {received[:500].decode(errors='replace')}"
        )
    try:
        return json.loads(received) if path != "/readyz" else None
    except ValueError:
        raise DeliveryFailed(f"{path} does not answer JSON: {received[:200]!r}") from None
