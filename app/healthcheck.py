"""
Whether the service is ready, as an exit status: ``python -m app.healthcheck``, for what runs its container.

The image has no curl, and this imports nothing that is slow: it runs every few seconds beside the service.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from http.client import HTTPConnection, HTTPException

_TIMEOUT_S = 3.0
_ANY_ADDRESS = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104  where a service listens that is to be reached from elsewhere


def check(environ: Mapping[str, str]) -> str | None:
    """
    Ask the service's ``/readyz``.

    Parameters
    ----------
    environ : mapping of str to str
        Where it listens, as the service itself was told: ``TREESERVE_HOST`` and ``TREESERVE_PORT``.

    Returns
    -------
    str or None
        Why it is not ready; None if it is.
    """
    host = environ.get("TREESERVE_HOST") or "127.0.0.1"
    port = environ.get("TREESERVE_PORT") or "8080"
    try:
        connection = HTTPConnection(_ANY_ADDRESS.get(host, host), int(port), timeout=_TIMEOUT_S)
        connection.request("GET", "/readyz")
        answer = connection.getresponse()
        text = answer.read().decode(errors="replace").strip()
    except (OSError, HTTPException, ValueError) as error:
        return f"{host}:{port} does not answer: {error}"
    return None if answer.status == 200 else f"{answer.status}: {text}"  # noqa: PLR2004


if __name__ == "__main__":
    sys.exit(check(os.environ))
