"""What Kubernetes, gateways and Prometheus are told to ask of the service, it answers."""

from __future__ import annotations

from starlette.testclient import TestClient

from tests.manifests import K8S, documents, pod_of
from tests.service.problems import GOOD


def test_probes_and_scrapes_are_answered(client: TestClient) -> None:
    """Where the manifests say."""
    [deployment] = documents(K8S / "base" / "deployment.yaml")
    [container] = pod_of(deployment)["containers"]
    [monitor] = documents(K8S / "components" / "monitoring" / "service-monitor.yaml")
    paths = {container[probe]["httpGet"]["path"] for probe in ("startupProbe", "livenessProbe", "readinessProbe")}
    for path in paths | {endpoint["path"] for endpoint in monitor["spec"]["endpoints"]}:
        assert client.get(path).status_code == 200, path


def test_what_a_gateway_lets_in_is_answered_and_no_more(client: TestClient) -> None:
    """By the method that it lets in; what operators ask is not for callers."""
    [route] = documents(K8S / "components" / "gateway" / "route.yaml")
    let_in = {(match["path"]["value"], match["method"]) for rule in route["spec"]["rules"] for match in rule["matches"]}
    for path, method in let_in:
        assert client.request(method, path, json={"instances": [GOOD]}).status_code not in (404, 405), path
    assert {match["path"]["type"] for rule in route["spec"]["rules"] for match in rule["matches"]} == {"Exact"}
    assert not {path for path, _ in let_in} & {"/metrics", "/livez", "/readyz", "/model/refresh"}
