"""Model versions that must not serve: the service is never ready, says why, and reports the failure."""

from __future__ import annotations

import json
import pickle
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from app.errors import ModelNotFound, RegistryUnreachable
from tests.boosters import INPUTS, ModelFolderBuilder, make_model, make_table, make_target, train_booster
from tests.service.problems import GOOD, problem_of
from tests.services import FakeRegistry, Service, run_service, wait

NON_ASCII = ["Köln", "Łódź", "東京"]


@contextmanager
def fail_to_start(registry: FakeRegistry, tmp_path: Path) -> Iterator[Service]:
    """Start a service whose model must be refused."""
    with run_service(registry, tmp_path / "payload.log", ready=False) as service:
        yield service


def reason(service: Service) -> str:
    """What a caller is told, after checking that nothing serves."""
    for response in (
        service.client.get("/readyz"),
        service.client.get("/model"),
        service.client.post("/predict", json={"instances": [GOOD]}),
    ):
        document = problem_of(response, 503, "not_ready")
    assert service.client.get("/livez").status_code == 200
    assert "treeserve_model_info{" not in service.client.get("/metrics").text
    return str(document["detail"])


@pytest.mark.parametrize("failure", [ModelNotFound("no such alias"), RegistryUnreachable("nobody answers")])
def test_a_registry_that_has_no_answer_is_the_reason(tmp_path: Path, failure: Exception) -> None:
    """What the registry says is what the caller of /readyz reads."""
    with fail_to_start(FakeRegistry(tmp_path, failure=failure), tmp_path) as service:
        assert reason(service) == f"No model version serves: {failure}"


def test_an_unforeseen_error_is_a_failed_start_too(tmp_path: Path) -> None:
    """A bug or an exhausted memory while loading must not leave a process that loads for ever."""
    with fail_to_start(FakeRegistry(tmp_path, failure=MemoryError("secret")), tmp_path) as service:
        assert "the log says why" in reason(service)
        assert "secret" not in reason(service)


Spoil = Callable[[Path], object]


def edit(name: str, change: Callable[[dict[str, Any]], object]) -> Spoil:
    """Change a JSON or YAML file of a model folder."""

    def spoil(folder: Path) -> None:
        file = folder / name
        document = yaml.safe_load(file.read_text(encoding="utf-8"))
        change(document)
        file.write_text(json.dumps(document), encoding="utf-8")  # which is YAML as well

    return spoil


def set_data(name: str) -> Spoil:
    """Let MLmodel name another booster file."""
    return edit("MLmodel", lambda document: document["flavors"]["xgboost"].update(data=name))


def replace_booster(content: bytes) -> Spoil:
    """Put something else in the booster's place, with no card to notice the digest."""

    def spoil(folder: Path) -> None:
        (folder / "extra_files" / "card.json").unlink()
        (folder / "model.ubj").write_bytes(content)

    return spoil


def truncate(share: float) -> Spoil:
    """Keep the beginning of the booster's file."""

    def spoil(folder: Path) -> None:
        whole = (folder / "model.ubj").read_bytes()
        replace_booster(whole[: int(len(whole) * share)])(folder)

    return spoil


def link_outside(folder: Path) -> None:
    """Let the booster be a link to a file that is not the model's."""
    outside = folder.parent / "outside.ubj"
    (folder / "model.ubj").rename(outside)
    (folder / "model.ubj").symlink_to(outside)


SPOILED: dict[str, tuple[Spoil, str]] = {
    "no MLmodel": (lambda folder: (folder / "MLmodel").unlink(), "holds no MLmodel"),
    "MLmodel is no YAML": (lambda folder: (folder / "MLmodel").write_text("a: [", encoding="utf-8"), "valid YAML"),
    "YAML bomb": (
        lambda folder: (folder / "MLmodel").write_text("a: &a [x]\nb: [*a, *a]", encoding="utf-8"),
        "aliases are not allowed",
    ),
    "another flavor": (
        edit("MLmodel", lambda d: d.update(flavors={"sklearn": {"pickled_model": "model.pkl"}})),
        "'sklearn'",
    ),
    "booster absent": (lambda folder: (folder / "model.ubj").unlink(), "model.ubj cannot be read"),
    "booster outside": (set_data("../model.ubj"), "only a plain file name"),
    "booster absolute": (set_data("/etc/passwd"), "only a plain file name"),
    "booster linked outside": (link_outside, "points outside its folder"),
    "pickle": (replace_booster(pickle.dumps({"a": 1})), "is a pickle"),
    "old pickle": (replace_booster(pickle.dumps({"a": 1}, protocol=0)), "XGBoost's own format"),
    "empty booster": (replace_booster(b""), "XGBoost's own format"),
    "garbage": (replace_booster(b"{garbage"), "is no whole booster"),
    "empty object": (replace_booster(b"{}"), "XGBoost cannot read"),
    "cut at the end": (truncate(0.99), "is no whole booster: it ends early"),
    "cut in the middle": (truncate(0.5), "is no whole booster: it ends early"),
    "changed booster": (
        lambda folder: (folder / "model.ubj").write_bytes((folder / "model.ubj").read_bytes() + b" "),
        "is not the file that card.json was written for",
    ),
    "card of another format": (edit("extra_files/card.json", lambda d: d.update(format_version=2)), "/format_version"),
    "card is no JSON": (
        lambda folder: (folder / "extra_files" / "card.json").write_text("{", encoding="utf-8"),
        "card.json of the model is not valid",
    ),
    "card with other categories": (
        edit("extra_files/card.json", lambda d: d.update(categories={"carrier": ["AA", "UA", "DL"]})),
        "card.json and the booster disagree on the categories of 'carrier'",
    ),
    "card with categories of a number": (
        edit("extra_files/card.json", lambda d: d["categories"].update(hour=["1", "2"])),
        "lists categories for ['hour']",
    ),
    "signature of another model": (
        edit("MLmodel", lambda d: d["signature"].update(inputs=json.dumps(INPUTS[:3]))),
        "only in the booster ['wind']",
    ),
    "golden margins that differ": (
        edit("extra_files/golden.json", lambda d: d["margins"].__setitem__(3, d["margins"][3] + 0.001)),
        "answers golden row 3 with the margin",
    ),
    "golden predictions that differ": (
        edit("extra_files/golden.json", lambda d: d["predictions"].__setitem__(5, 0.123)),
        "answers golden row 5 with the prediction",
    ),
    "golden rows of another model": (
        edit("extra_files/golden.json", lambda d: d["instances"][2].update(altitude=1)),
        "golden.json does not fit the model",
    ),
}


@pytest.mark.parametrize("name", SPOILED)
def test_a_spoiled_model_folder_never_serves(tmp_path: Path, name: str, champion: ModelFolderBuilder) -> None:
    """Whatever is wrong with the files is found before the first request, and named."""
    spoil, expected = SPOILED[name]
    folder = champion.write(tmp_path / "model")
    spoil(folder)
    with fail_to_start(FakeRegistry(folder), tmp_path) as service:
        assert expected in reason(service)


def test_non_ascii_categories_without_a_list_never_serve(tmp_path: Path) -> None:
    """XGBoost 3.2 stores such names cut, so that nobody can know which category is meant."""
    table = make_table(carriers=NON_ASCII)
    model = make_model(booster=train_booster(table, make_target(table)), card=None, with_golden=False, table=table)
    with fail_to_start(FakeRegistry(model.write(tmp_path / "model")), tmp_path) as service:
        assert "non-ASCII categories" in reason(service)
        assert "list its categories in code order in card.json" in reason(service)


def test_non_ascii_categories_with_a_list_serve(tmp_path: Path) -> None:
    """With the names in the card the predictions are those of their codes."""
    table = make_table(carriers=NON_ASCII)
    booster = train_booster(table, make_target(table))
    model = make_model(booster=booster, card={"categories": {"carrier": NON_ASCII}}, with_golden=False, table=table)
    with run_service(FakeRegistry(model.write(tmp_path / "model")), tmp_path / "log") as service:
        answers = service.predict(*({"carrier": name, "hour": 7, "temp": 50.0, "wind": 3.0} for name in NON_ASCII))
    codes = np.array([[code, 7, 50, 3] for code in range(3)], dtype=np.float32)
    assert answers == booster.inplace_predict(codes, validate_features=False).tolist()


def test_a_model_is_not_ready_before_it_is_verified(tmp_path: Path, champion_folder: Path) -> None:
    """While the model is being fetched, probes are answered at once: alive, and not ready yet."""
    registry = FakeRegistry(champion_folder, may_fetch=threading.Event())
    with run_service(registry, tmp_path / "log", ready=None) as service:
        assert service.client.get("/livez").status_code == 200
        assert "being loaded" in reason(service)
        registry.may_fetch.set()
        for _ in wait():
            if service.client.get("/readyz").status_code == 200:
                break
