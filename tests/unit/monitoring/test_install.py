"""The step that installs templates and dashboards: what it sends, and what it says when it is refused."""

from __future__ import annotations

import json
import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.elastic.conftest import run_install
from tests.integration.elastic.doors import Doors, open_doors
from tests.processes import PROJECT, free_port

FOLDER = PROJECT / "monitoring" / "elasticsearch"


@pytest.fixture
def doors() -> Iterator[Doors]:
    """Elasticsearch and Kibana, as far as the step sees them."""
    with open_doors(None) as doors:
        yield doors


def test_everything_is_put_and_the_saved_objects_are_imported(doors: Doors) -> None:
    """Lifecycles before the templates that name them; running it again replaces."""
    for _ in range(2):
        ended = run_install("--elasticsearch", doors.url, "--kibana", doors.url)
        assert ended.returncode == 0, ended.stderr
    policies = {file.stem: json.loads(file.read_text())["policy"] for file in FOLDER.glob("lifecycles/*.json")}
    assert doors.policies == {name: (policy, 2) for name, policy in policies.items()}
    assert set(doors.used) == {file.stem for file in FOLDER.glob("index_templates/*.json")}
    saved = (PROJECT / "monitoring" / "kibana" / "treeserve.ndjson").read_text(encoding="utf-8").splitlines()
    assert doors.imported == [json.loads(line) for line in saved]
    assert f"{len(saved)} saved objects in Kibana" in ended.stdout


@pytest.mark.parametrize(
    ("credentials", "header"),
    [
        ({"ELASTICSEARCH_API_KEY": "a2V5"}, "ApiKey a2V5"),
        ({"ELASTICSEARCH_API_KEY": "id:key"}, "ApiKey aWQ6a2V5"),  # as Filebeat wants it
        ({"ELASTICSEARCH_USERNAME": "elastic", "ELASTICSEARCH_PASSWORD": "s\u00e9same"}, "Basic ZWxhc3RpYzpzw6lzYW1l"),
    ],
)
def test_credentials_come_from_the_environment(doors: Doors, credentials: dict[str, str], header: str) -> None:
    """For both of them; without, the step says what is missing, and stops."""
    doors.authorization = header
    ended = run_install("--elasticsearch", doors.url, "--kibana", doors.url, **credentials)
    assert ended.returncode == 0, ended.stderr
    ended = run_install("--elasticsearch", doors.url)
    assert ended.returncode == 1
    assert "401 unable to authenticate. Set ELASTICSEARCH_API_KEY, or" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_user_without_a_password_is_told() -> None:
    """Before anything is sent."""
    ended = run_install("--elasticsearch", "http://127.0.0.1:1", ELASTICSEARCH_USERNAME="elastic")
    assert (ended.returncode, "needed both" in ended.stderr) == (1, True)


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("http://elastic:s3cret@127.0.0.1:9200", "set ELASTICSEARCH_USERNAME"),
        ("http://127.0.0.1:x", "Check the address"),
    ],
)
def test_an_address_that_is_none_is_told(url: str, told: str) -> None:
    """Without what is secret in it."""
    ended = run_install("--elasticsearch", url)
    assert ended.returncode
    assert told in ended.stderr
    assert "s3cret" not in ended.stderr
    assert "Traceback" not in ended.stderr


def test_nobody_there_is_told() -> None:
    """With the address, and what to look at."""
    url = f"http://127.0.0.1:{free_port()}"
    ended = run_install("--elasticsearch", url)
    assert ended.returncode == 1
    assert f"{url}/_ilm/policy/" in ended.stderr
    assert "Check the address" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_what_kibana_refuses_is_named(doors: Doors) -> None:
    """Kibana answers 200 all the same."""
    doors.refusals = [{"type": "dashboard", "id": "treeserve-model", "error": {"type": "missing_references"}}]
    ended = run_install("--elasticsearch", doors.url, "--kibana", doors.url)
    assert ended.returncode == 1
    assert "dashboard treeserve-model: {'type': 'missing_references'}" in ended.stderr


def test_a_certificate_counts_if_its_authority_is_given(tmp_path: Path) -> None:
    """As Elasticsearch signs its own at its first start."""
    request = "req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=node -addext subjectAltName=IP:127.0.0.1"
    command = ["openssl", *request.split(), "-keyout", "key.pem", "-out", "ca.pem"]
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(tmp_path / "ca.pem", tmp_path / "key.pem")
    with open_doors(None, tls) as doors:
        ended = run_install("--elasticsearch", doors.url, ELASTICSEARCH_CA_CERT=str(tmp_path / "ca.pem"))
        assert ended.returncode == 0, ended.stderr
        assert len(doors.policies) == 5
        ended = run_install("--elasticsearch", doors.url)
        assert ended.returncode == 1
        assert "certificate" in ended.stderr
    ended = run_install("--elasticsearch", doors.url, ELASTICSEARCH_CA_CERT=str(tmp_path / "key.pem"))
    assert (ended.returncode, "is no certificate" in ended.stderr) == (1, True)
