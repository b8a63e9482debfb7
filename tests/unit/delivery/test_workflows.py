"""What the workflows promise: the order, least permissions, and that each step is a target of make."""

from __future__ import annotations

import re
from itertools import pairwise
from typing import Any

import pytest
import yaml

from tests.processes import PROJECT

FOLDER = PROJECT / ".github" / "workflows"
TEXTS = {path.name: path.read_text(encoding="utf-8") for path in sorted(FOLDER.glob("*.yml"))}
WORKFLOWS: dict[str, dict[Any, Any]] = {name: yaml.safe_load(text) for name, text in TEXTS.items()}
JOBS = {(name, job): of for name, workflow in WORKFLOWS.items() for job, of in workflow["jobs"].items()}
ORDER = ["quality", "unit", "service", "integration", "gate", "image", "publish", "deploy"]
# All that any job may do but read the repository.
GRANTED = {
    ("delivery.yml", "publish"): {"packages": "write", "id-token": "write"},
    ("delivery.yml", "deploy"): {"contents": "read", "packages": "read"},
}
PINNED = re.compile(r"^ *-? *uses: (?P<action>[\w./-]+)@(?P<digest>[0-9a-f]{40}) # v\d+\.\d+\.\d+$")


def steps(jobs: dict[tuple[str, str], dict[str, Any]]) -> list[dict[str, Any]]:
    return [step for job in jobs.values() for step in job["steps"]]


def needed(job: str) -> set[str]:
    """The jobs that have to pass before one begins, and those before them."""
    needs = JOBS["delivery.yml", job].get("needs", [])
    direct = {needs} if isinstance(needs, str) else set(needs)
    return direct.union(*(needed(before) for before in direct))


def test_every_target_of_make_exists() -> None:
    makefile = (PROJECT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z][a-z0-9-]*):", makefile, re.MULTILINE))
    called = {
        word
        for step in steps(JOBS)
        for line in re.findall(r"\bmake (.*)", step.get("run", ""))
        for word in line.split()
        if re.fullmatch(r"[a-z][a-z0-9-]*", word)
    }
    assert {"lint", "typecheck", "test", "image", "image-test", "materials", "audit", "deploy", "train"} <= called
    assert called <= targets


@pytest.mark.parametrize(("before", "after"), list(pairwise(ORDER)))
def test_the_order_is_the_one_that_matters(before: str, after: str) -> None:
    """No image is built before predictions were timed, and nothing is published that was not tried."""
    assert before in needed(after)


def test_the_gate_times_predictions() -> None:
    assert any(
        "tests/e2e/test_prediction_time.py" in step.get("run", "") for step in JOBS["delivery.yml", "gate"]["steps"]
    )


def test_an_image_is_listed_audited_and_scanned_before_it_is_handed_on() -> None:
    done = [step.get("run", step.get("uses", "")) for step in JOBS["delivery.yml", "image"]["steps"]]
    wanted = [
        "make image ",
        "make image-test",
        "make materials",
        "make audit",
        "anchore/scan-action",
        "actions/upload-artifact",
    ]
    places = [next(place for place, step in enumerate(done) if step.startswith(start)) for start in wanted]
    assert places == sorted(places)


def test_what_failed_or_was_cancelled_is_not_published() -> None:
    condition = JOBS["delivery.yml", "publish"]["if"]
    assert "needs.image.result == 'success'" in condition
    assert "github.ref_type == 'tag'" in condition
    assert "needs.publish.result == 'success'" in JOBS["delivery.yml", "deploy"]["if"]


@pytest.mark.parametrize("name", TEXTS)
def test_actions_are_pinned_by_digest(name: str) -> None:
    used = [line for line in TEXTS[name].splitlines() if "uses:" in line]
    assert [line for line in used if not PINNED.match(line)] == []


def test_an_action_has_one_digest() -> None:
    used = {match.groups() for text in TEXTS.values() for line in text.splitlines() if (match := PINNED.match(line))}
    assert len({action for action, _ in used}) == len(used)


@pytest.mark.parametrize(("name", "job"), JOBS)
def test_a_job_may_do_no_more_than_it_has_to(name: str, job: str) -> None:
    """And ends, and leaves no token behind for what it runs."""
    assert WORKFLOWS[name]["permissions"] == {}
    assert JOBS[name, job]["permissions"] == GRANTED.get((name, job), {"contents": "read"})
    assert 0 < JOBS[name, job]["timeout-minutes"] <= 120
    for step in JOBS[name, job]["steps"]:
        if step.get("uses", "").startswith("actions/checkout@"):
            assert step["with"]["persist-credentials"] is False


@pytest.mark.parametrize("name", TEXTS)
def test_no_workflow_runs_strangers_code_with_our_secrets(name: str) -> None:
    events = WORKFLOWS[name][True]  # YAML takes `on` for a boolean
    assert events.keys() <= {"push", "pull_request", "schedule", "workflow_dispatch"}
    assert "concurrency" in WORKFLOWS[name]
    with_secrets = [job for job, of in WORKFLOWS[name]["jobs"].items() if "secrets." in str(of)]
    assert all("environment" in WORKFLOWS[name]["jobs"][job] for job in with_secrets)
