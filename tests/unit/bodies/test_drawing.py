"""Bodies are different ones, the same ones each time, and written so that the service reads them the quick way."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from app.bodies.drawing import draw_bodies
from app.bodies.served_model import InputExample, Limits, ServedModel
from app.errors import BodiesUnavailable
from app.signature import Feature, FeatureType, Signature
from app.wire.decoder import InstancesDecoder
from tests.processes import PROJECT
from tests.unit.wire.bodies import SIGNATURE


def served(signature: Signature, max_instances: int = 10) -> ServedModel:
    """A model without a profile and with an empty example."""
    limits = Limits(max_instances=max_instances, max_body_bytes=10_000)
    return ServedModel(signature=signature, profile=None, input_example=InputExample(instances=[{}]), limits=limits)


def test_bodies_are_plain_lines() -> None:
    """Names as they are and not escaped, of which the compiled codec would make nothing, and no line break."""
    decoder = InstancesDecoder(SIGNATURE)
    bodies = list(draw_bodies(served(SIGNATURE), 100, 3))
    assert all(b"\n" not in body for body in bodies)
    assert all(decoder.read_plain(body, 3) is not None for body in bodies)
    assert any("Zürich".encode() in body for body in bodies)


def test_a_model_of_few_values_has_few_bodies() -> None:
    """All that there are come out, and then it is told; in batches there are more."""
    model = served(Signature((Feature("x", FeatureType.BOOLEAN),)))
    bodies = draw_bodies(model, 10, 1)
    assert {next(bodies) for _ in range(3)} == {
        b'{"instances":[{"x":%s}]}' % value for value in (b"true", b"false", b"null")
    }
    with pytest.raises(BodiesUnavailable, match=r"after 3 bodies no other one was found.*more instances in each"):
        next(bodies)
    assert len(set(draw_bodies(model, 10, 4))) == 10


def test_another_process_draws_the_same() -> None:
    """Neither the time nor the process's own hash seed has a part in it."""
    code = (
        "import sys; from app.bodies import drawing, served_model;"
        "model = served_model.ServedModel.model_validate_json(sys.stdin.buffer.read());"
        "sys.stdout.buffer.writelines(drawing.draw_bodies(model, 20, 2))"
    )
    model = served(SIGNATURE)
    environment = os.environ | {"PYTHONHASHSEED": "7", "PYTHONPATH": str(PROJECT)}
    told = model.model_dump_json().encode()
    ended = subprocess.run([sys.executable, "-c", code], env=environment, input=told, capture_output=True, check=True)
    assert ended.stdout == b"".join(draw_bodies(model, 20, 2))
