"""An MLflow server's REST API, read with the credentials that MLflow itself would use."""

from __future__ import annotations

import json
import os
from typing import Any

from app.errors import RegistryUnreachable
from app.registry.store import without_credentials

_WAIT_S = 10.0  # to connect to an address, and again for each wait for more of an answer
_MAX_BYTES = 4 * 2**20  # of an answer; a version's metrics and tags are the longest in it
_ABSENT = {"RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"}  # the second is what MLflow says of an unknown alias


class MlflowServer:
    """
    A server by its tracking URI.

    Attributes
    ----------
    name : str
        The URI without credentials, for messages.
    """

    def __init__(self, tracking_uri: str) -> None:
        self._api = f"{tracking_uri.rstrip('/')}/api/2.0/mlflow"
        self.name = without_credentials(tracking_uri)

    def find(self, path: str, **wanted: str) -> dict[str, Any] | None:
        """
        Get one answer.

        Parameters
        ----------
        path : str
            Below ``/api/2.0/mlflow``.
        **wanted : str
            The query's parameters.

        Returns
        -------
        dict or None
            None if MLflow has no such thing.

        Raises
        ------
        RegistryUnreachable
            If the server does not answer, refuses us, or answers something else.
        """
        import requests  # here, because a local store needs no HTTP client at start-up

        try:
            with requests.get(
                f"{self._api}/{path}",
                params=wanted,
                headers=_bearer(),
                auth=_basic(),
                verify=_verify(),
                timeout=_WAIT_S,
                stream=True,
            ) as response:
                if response.status_code in (401, 403):  # which MLflow says in plain text, and a proxy in HTML
                    raise RegistryUnreachable(
                        f"the MLflow server at {self.name} refuses us ({response.status_code}); check "
                        "MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN"
                    )
                content = bytearray()
                for part in response.iter_content(2**16):
                    content += part
                    if len(content) > _MAX_BYTES:
                        raise RegistryUnreachable(self.say_foreign(f"more than {_MAX_BYTES} bytes"))
            answer = json.loads(content)
            if response.ok:
                return dict(answer)
            code, message = str(answer["error_code"]), str(answer["message"])[:500]
        except (requests.RequestException, KeyError, TypeError, ValueError) as error:
            raise RegistryUnreachable(self.say_foreign(type(error).__name__)) from None
        if code in _ABSENT:
            return None
        raise RegistryUnreachable(
            f"the MLflow server at {self.name} answers {response.status_code} {code}: {message}; "
            "check MLFLOW_TRACKING_URI"
        )

    def say_foreign(self, reason: str) -> str:
        """What to say of an answer that is none of MLflow's."""
        return (
            f"the MLflow server at {self.name} does not answer as one ({reason}); "
            "check MLFLOW_TRACKING_URI and that the server runs"
        )


def _basic() -> tuple[str, str] | None:
    username, password = os.environ.get("MLFLOW_TRACKING_USERNAME"), os.environ.get("MLFLOW_TRACKING_PASSWORD")
    return (username, password) if username and password else None


def _bearer() -> dict[str, str]:
    token = os.environ.get("MLFLOW_TRACKING_TOKEN")
    return {"Authorization": f"Bearer {token}"} if token else {}


def _verify() -> bool | str:
    if os.environ.get("MLFLOW_TRACKING_INSECURE_TLS", "").lower() in ("true", "1"):
        return False
    return os.environ.get("MLFLOW_TRACKING_SERVER_CERT_PATH") or True
