"""
Bodies of ``POST /predict`` that a model accepts, with values as common as they were in training.

Each feature is drawn by itself: alone it looks as it did in training, together two of them need not.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from hashlib import blake2b
from random import Random
from typing import Any

from app.bodies.served_model import ServedModel
from app.bodies.values import Draw, build_draws
from app.errors import BodiesUnavailable

_SEED = 0
_MAX_TRIES = 100  # for a body that was not drawn before
# As names stand in the text itself, and not with escapes, so that the service can read it the quick way.
_encode = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False).encode


def draw_bodies(model: ServedModel, n_bodies: int, n_instances: int) -> Iterator[bytes]:
    """
    Draw bodies, no two alike; the same ones whenever it is asked the same.

    Parameters
    ----------
    model : ServedModel
    n_bodies : int
    n_instances : int
        In each body.

    Yields
    ------
    bytes
        JSON text without a line break, in UTF-8.

    Raises
    ------
    BodiesUnavailable
        If the service would refuse them for their size, or so many different ones are not found.
    """
    if n_instances > model.limits.max_instances:
        raise BodiesUnavailable(
            f"the service takes at most {model.limits.max_instances} instances in a request (TREESERVE_MAX_INSTANCES)"
        )
    draws = build_draws(model)
    random = Random(_SEED)  # noqa: S311  nothing secret
    seen: set[bytes] = set()
    for _ in range(n_bodies):
        body = _draw_unseen(draws, n_instances, random, seen)
        if len(body) > model.limits.max_body_bytes:
            raise BodiesUnavailable(
                f"a body of {n_instances} instances has {len(body)} bytes, and the service takes at most "
                f"{model.limits.max_body_bytes} (TREESERVE_MAX_BODY_BYTES); ask for fewer instances"
            )
        yield body


def _draw_unseen(draws: dict[str, Draw[Any]], n_instances: int, random: Random, seen: set[bytes]) -> bytes:
    for _ in range(_MAX_TRIES):
        instances = [{name: draw(random) for name, draw in draws.items()} for _ in range(n_instances)]
        body = _encode({"instances": instances}).encode()
        digest = blake2b(body, digest_size=16).digest()
        if digest not in seen:
            seen.add(digest)
            return body
    raise BodiesUnavailable(
        f"after {len(seen)} bodies no other one was found, for the model's features have few values; ask for fewer, "
        "or for more instances in each"
    )
