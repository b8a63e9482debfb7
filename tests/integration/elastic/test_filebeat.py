"""Filebeat with our configurations: every line arrives once, in its data stream, whatever becomes of the files."""

from __future__ import annotations

import json
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from app.ecs import timestamp
from app.rotating_file import RotatingFile
from tests.integration.elastic.filebeat import FOLDER, describe, kill, run_filebeat
from tests.integration.elastic.node import DATASETS, Node
from tests.integration.elastic.tools import has_filebeat
from tests.services import wait

pytestmark = [
    pytest.mark.elastic,
    pytest.mark.skipif(not has_filebeat(), reason="there is no Filebeat (python -m tests.integration.elastic.tools)"),
]
ARRIVES_WITHIN_S = 60


@pytest.fixture
def streams(node: Node) -> Node:
    """The node, in which treeserve's data streams are empty."""
    for dataset in DATASETS:
        node.empty(f"logs-treeserve.{dataset}-default")
    return node


def write_line(number: int, dataset: str = "prediction", **fields: Any) -> str:
    """As the service writes them, as far as Filebeat looks."""
    line = {
        "@timestamp": timestamp(1_790_000_000 + number),
        "http.request.id": f"r{number}",
        "event.dataset": f"treeserve.{dataset}",
        "message": dataset,
        "treeserve.request.instance": 0,
        **fields,
    }
    return json.dumps(line) + "\n"


def ids(node: Node, dataset: str = "prediction") -> list[str]:
    """The requests whose lines are there, as often as they are."""
    stream = f"logs-treeserve.{dataset}-default"
    if not node.count(stream):
        return []
    hits = node.search(stream, {"size": 10_000, "_source": ["http.request.id"]})["hits"]["hits"]
    return sorted(hit["_source"]["http.request.id"] for hit in hits)


def wait_until_there(node: Node, expected: list[str], home: Path) -> None:
    """And nothing else, nor anything twice."""
    found: list[str] = []
    with suppress(AssertionError):  # what is missing says more than that it took too long
        for _ in wait(ARRIVES_WITHIN_S, every_s=0.2):
            found = ids(node)
            if len(found) >= len(expected):
                break
    assert found == sorted(expected), describe(home)


def test_each_line_goes_to_the_data_stream_of_its_dataset(streams: Node, tmp_path: Path) -> None:
    """What is no line of treeserve's is kept too, as text, with the service's events."""
    logs, home = tmp_path / "logs", tmp_path / "filebeat"
    logs.mkdir()
    payload = [write_line(n, dataset) for n, dataset in enumerate(DATASETS) if dataset != "service"]
    (logs / "payload.log").write_text("".join(payload))
    (logs / "service.log.2.gz").write_bytes(b"\x1f\x8b not to be read\n")
    strange = [
        "Traceback (most recent call last):",
        '{"level": {"other": "program"}}',
        "[1, 2]",
        '{"event.dataset": "t',
    ]
    strange.append('{"event.dataset": "treeserve.service", "message": "cut')
    (logs / "service.log").write_text(write_line(4, "service") + "\n".join(strange) + "\n")
    with run_filebeat("filebeat.yml", home, streams.url, TREESERVE_LOGS=str(logs)):
        for _ in wait(ARRIVES_WITHIN_S, every_s=0.2):
            counts = {dataset: streams.count(f"logs-treeserve.{dataset}-default") for dataset in DATASETS}
            if counts == dict.fromkeys(DATASETS, 1) | {"service": 1 + len(strange)}:
                break
    found = streams.search("logs-treeserve.service-default", {"size": 100})["hits"]["hits"]
    assert sorted(hit["_source"]["message"] for hit in found) == sorted(["service", *strange])
    (hit,) = streams.search("logs-treeserve.prediction-default", {"fields": ["*"]})["hits"]["hits"]
    assert hit["fields"]["@timestamp"] == ["2026-09-21T14:13:20.000Z"]
    assert {name: hit["_source"][name] for name in json.loads(payload[0]) if name != "@timestamp"} == {
        name: value for name, value in json.loads(payload[0]).items() if name != "@timestamp"
    }
    assert set(hit["_source"]) - set(json.loads(payload[0])) == {"log", "host"}


def test_a_file_that_is_renamed_under_it_loses_no_line_and_doubles_none(streams: Node, tmp_path: Path) -> None:
    """The service's own rotation, many times, and the oldest files go."""
    logs, home = tmp_path / "logs", tmp_path / "filebeat"
    logs.mkdir()
    log = RotatingFile(logs / "payload.log", 20_000, 3)
    expected: list[str] = []
    with run_filebeat("filebeat.yml", home, streams.url, TREESERVE_LOGS=str(logs)):
        for number in range(1_500):
            log.write(write_line(number).encode())
            expected.append(f"r{number}")
            if number % 150 == 149:  # two files or so; Filebeat must not be behind by all that are kept
                wait_until_there(streams, expected, home)
        # As logrotate names them.
        (logs / "payload.log").rename(logs / "payload.log-20261129")
        log.write(write_line(1_500).encode())
        wait_until_there(streams, [*expected, "r1500"], home)
        (logs / "payload.log-20261129").unlink()
    log.close()
    assert len(list(logs.iterdir())) == 4
    assert (logs / "payload.log.3").read_text().startswith(write_line(0)[:20])
    assert "r0" not in (logs / "payload.log.3").read_text().split('"')


def test_a_filebeat_that_was_killed_goes_on_and_doubles_nothing(streams: Node, tmp_path: Path) -> None:
    """Also with files that were renamed meanwhile: what it sends again has the same id."""
    logs, home = tmp_path / "logs", tmp_path / "filebeat"
    logs.mkdir()
    log = RotatingFile(logs / "payload.log", 60_000, 9)
    expected = [f"r{number}" for number in range(2_000)]
    for number in range(1_000):
        log.write(write_line(number).encode())
    with run_filebeat("filebeat.yml", home, streams.url, TREESERVE_LOGS=str(logs)) as filebeat:
        for _ in wait(ARRIVES_WITHIN_S, every_s=0.01):
            if streams.count("logs-treeserve.prediction-default"):
                break
        kill(filebeat)
    for number in range(1_000, 2_000):
        log.write(write_line(number).encode())
    log.close()
    with run_filebeat("filebeat.yml", home, streams.url, TREESERVE_LOGS=str(logs)):
        wait_until_there(streams, expected, home)


def cri(text: str, flag: str = "F") -> str:
    """A line, or a piece of one, as containerd and CRI-O write them."""
    return f"2026-11-29T12:00:00.123456789Z stdout {flag} {text.rstrip()}\n"


def docker(text: str) -> str:
    """A line, or a piece of one, as Docker's json-file writes them."""
    at = datetime(2026, 11, 29, tzinfo=UTC).isoformat()
    return json.dumps({"log": text, "stream": "stdout", "time": at.replace("+00:00", ".5Z")}) + "\n"


def test_pods_are_followed_in_both_formats_through_the_kubelets_rotation(streams: Node, tmp_path: Path) -> None:
    """Of treeserve's containers alone, and with the pod's name."""
    pods, home = tmp_path / "pods", tmp_path / "filebeat"
    folder = pods / "shop_treeserve-7d9f_0a1b-2c3d" / "treeserve"
    folder.mkdir(parents=True)
    other = pods / "shop_postgres-0_9z" / "postgres"
    other.mkdir(parents=True)
    (other / "0.log").write_text(cri(write_line(99)))
    long = write_line(2, "prediction", **{"treeserve.features.category": {"a": "x" * 20_000}})
    (folder / "0.log").write_text(cri(write_line(0)) + cri(long[:16_384], "P") + cri(long[16_384:]) + cri("plain text"))
    by_docker = tmp_path / "containers" / "1-json.log"
    by_docker.parent.mkdir()
    by_docker.write_text(docker(write_line(1)) + docker("cut ") + docker("in two\n"))
    (folder / "1.log").symlink_to(by_docker)
    with run_filebeat("filebeat.kubernetes.yml", home, streams.url, POD_LOGS=str(pods), NODE_NAME="n1"):
        wait_until_there(streams, ["r0", "r1", "r2"], home)
        with (folder / "0.log").open("a") as file:
            file.write(cri(write_line(3)))
            (folder / "0.log").rename(folder / "0.log.20261129-120000")
            (folder / "0.log").write_text(cri(write_line(4)))
            file.write(cri(write_line(5)))
        (folder / "0.log.20261129-110000.gz").write_bytes(b"\x1f\x8b not to be read\n")
        wait_until_there(streams, [f"r{number}" for number in range(6)], home)
        for _ in wait(ARRIVES_WITHIN_S, every_s=0.2):
            if streams.count("logs-treeserve.service-default") == 2:
                break
    texts = streams.search("logs-treeserve.service-default", {})["hits"]["hits"]
    assert sorted(hit["_source"]["message"].strip() for hit in texts) == ["cut in two", "plain text"]
    hits = streams.search("logs-treeserve.prediction-default", {"query": {"term": {"http.request.id": "r2"}}})
    assert hits["hits"]["hits"][0]["_source"]["kubernetes"] == {
        "namespace": "shop",
        "pod": {"name": "treeserve-7d9f", "uid": "0a1b-2c3d"},
        "container": {"name": "treeserve"},
        "node": {"name": "n1"},
    }
    assert hits["hits"]["hits"][0]["_source"]["treeserve.features.category"] == {"a": "x" * 20_000}


def test_both_configurations_do_the_same_with_a_line() -> None:
    """What differs is where lines come from."""
    files = [yaml.safe_load((FOLDER / name).read_text()) for name in ("filebeat.yml", "filebeat.kubernetes.yml")]
    assert files[1]["processors"][2:] == files[0]["processors"]
    for each in files:
        del each["processors"], each["filebeat.inputs"]
    assert files[0] == files[1]
