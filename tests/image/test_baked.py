"""An image with a model version in it, for where there is no registry and no network."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from delivery.engine import Engine
from delivery.errors import DeliveryFailed
from delivery.image import Build, build_image
from tests.boosters import make_model
from tests.image.containers import run_container

pytestmark = pytest.mark.image

RUN = "0123456789abcdef0123456789abcdef"


@pytest.mark.usefixtures("serving")  # whose layers it begins with
def test_it_serves_at_once_with_nothing_around_it(
    engine: Engine, bases: tuple[str | None, str | None], model_folder: Path
) -> None:
    """It was verified when it was built: no network, nowhere to write, and a tenth of a second from start to ready."""
    (model_folder / "registered_model_meta").write_text("model_name: flight-delay\nmodel_version: '7'\n")
    image = build_image(Build("baked", "cpu", *bases, model_uri=str(model_folder)), engine)
    with run_container(engine, image) as container:
        container.wait_until_ready()
        model = container.ask("GET", "/model")[1]
        assert (model["name"], model["version"]) == ("flight-delay", "7")
        assert container.ask("POST", "/predict", {"instances": [{"carrier": "UA", "hour": 17}]})[0] == 200
        ready = next(
            found[1] for event in container.events() if (found := re.search(r"ready in (\S+) s", event["message"]))
        )
        assert float(ready) < 0.5  # of which importing XGBoost alone would take more
        assert [event for event in container.events() if event["log.level"] != "info"] == []


@pytest.mark.usefixtures("serving")
def test_a_model_that_may_not_serve_is_not_baked_in(
    engine: Engine, bases: tuple[str | None, str | None], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """The build ends, and says why, long before somebody carries the image to where nobody can help."""
    folder = make_model().write(tmp_path / "model")
    (folder / "model.ubj").write_bytes((folder / "model.ubj").read_bytes()[:-100])
    with pytest.raises(DeliveryFailed):
        build_image(Build("baked", "cpu", *bases, model_uri=str(folder)), engine)
    assert "cannot serve" in "".join(capfd.readouterr())
