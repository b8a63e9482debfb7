"""What overlays, components and jobs say is what there is: settings, images, commands, metrics, files."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from app import __version__
from app.setting_faults import PREFIX, find_unknown_variables
from app.settings import Settings
from model import __main__ as training
from monitoring.prometheus import manifest
from tests.exposed_metrics import ExposedMetric
from tests.manifests import K8S, containers, documents, env_file, files, objects, pod_of
from tests.processes import PROJECT

with_promtool = pytest.mark.skipif(
    not shutil.which("promtool"), reason="promtool is not installed (apt install prometheus)"
)
COMPONENTS = K8S / "components"
FILEBEAT = PROJECT / "monitoring" / "filebeat" / "filebeat.kubernetes.yml"
KUSTOMIZATIONS = [(file, document) for file in files("kustomization.yaml") for document in documents(file)]
CONTAINERS = {place: (pod, container) for place, pod, container in containers()}
CRON_JOBS = {job["metadata"]["name"]: job for _, job in objects("CronJob")}
IMAGES: dict[str, list[dict[str, str]]] = {}
for _, kustomization in KUSTOMIZATIONS:
    for image in kustomization.get("images", []):
        IMAGES.setdefault(image["name"], []).append(image)


def variables() -> dict[str, dict[str, str]]:
    """What each file of settings, and each overlay, gives to containers."""
    found = {str(file.relative_to(K8S)): env_file(file) for file in files("*.env")}
    for file, document in KUSTOMIZATIONS:
        for generator in document.get("configMapGenerator", []):
            if literals := generator.get("literals"):
                found[str(file.relative_to(K8S))] = dict(literal.split("=", 1) for literal in literals)
    return found


@pytest.mark.parametrize(("place", "given"), variables().items())
def test_every_setting_is_one(place: str, given: dict[str, str]) -> None:
    """Of the service's; a misspelt one is told in a warning alone, which nobody reads in time."""
    assert given, place
    assert find_unknown_variables(given, Settings.model_fields) == {}
    Settings.from_environment(given)
    named = re.findall(rf"{PREFIX}[A-Z_]*[A-Z]", (K8S / place).read_text(encoding="utf-8"))
    assert {name.removeprefix(PREFIX).lower() for name in named} <= Settings.model_fields.keys()


@pytest.mark.parametrize("file", [*files(), *files("*.env")], ids=lambda file: str(file.relative_to(K8S)))
def test_a_comment_names_settings_that_there_are(file: Path) -> None:
    """Too."""
    named = re.findall(rf"{PREFIX}[A-Z_]*[A-Z]", file.read_text(encoding="utf-8"))
    assert {name.removeprefix(PREFIX).lower() for name in named} <= Settings.model_fields.keys()


def test_images_are_those_of_this_version() -> None:
    """And a container's image is one that a kustomization gives a tag."""
    assert {container["image"] for _, container in CONTAINERS.values()} == set(IMAGES)
    tags = {name: {image["newTag"] for image in images} for name, images in IMAGES.items()}
    assert tags.pop("treeserve") == {__version__, f"{__version__}-gpu"}
    assert tags.pop("treeserve-training") == {__version__}
    compose = yaml.safe_load((PROJECT / "docker-compose.yml").read_text(encoding="utf-8"))
    assert tags == {"filebeat": {compose["services"]["filebeat"]["image"].partition(":")[2]}}


@pytest.mark.parametrize("place", CONTAINERS)
def test_a_container_may_do_no_more_than_it_needs(place: str) -> None:
    """What Kubernetes calls restricted; Filebeat alone is root, for it reads what is root's, and has no capability."""
    pod, container = CONTAINERS[place]
    security = pod.get("securityContext", {}) | container["securityContext"]
    assert security["seccompProfile"] == {"type": "RuntimeDefault"}
    assert security["capabilities"] == {"drop": ["ALL"]}
    assert not security["allowPrivilegeEscalation"]
    assert security["readOnlyRootFilesystem"]
    assert not pod["automountServiceAccountToken"]
    assert container["resources"]["requests"]["memory"] == container["resources"]["limits"]["memory"]
    reads_the_node = {volume["name"] for volume in pod["volumes"] if "hostPath" in volume}
    if container["name"] == "filebeat":
        assert reads_the_node == {"pods", "data"}
    else:
        assert not reads_the_node
        assert security["runAsNonRoot"]
        assert security["runAsUser"] == 10001


@pytest.mark.parametrize("name", CRON_JOBS)
def test_a_job_runs_a_command_that_there_is(name: str) -> None:
    """Its own parser takes the command line, with the variables that the job has."""
    [container] = pod_of(CRON_JOBS[name])["containers"]
    given = env_file(COMPONENTS / container["name"] / "settings.env")
    assert "command" not in container  # the image has it
    assert 'ENTRYPOINT ["python", "-m", "model"]' in (PROJECT / "Dockerfile").read_text(encoding="utf-8")
    arguments = [re.sub(r"\$\((\w+)\)", lambda found: given[found[1]], one) for one in container["args"]]
    options = training._parser().parse_args(arguments)
    assert options.command == {"retraining": "retrain", "outcomes": "outcomes"}[container["name"]]


@pytest.mark.parametrize("name", CRON_JOBS)
def test_a_job_runs_alone_and_ends(name: str) -> None:
    """One that hangs is ended, and not started again and again."""
    spec = CRON_JOBS[name]["spec"]
    assert spec["concurrencyPolicy"] == "Forbid"
    assert spec["successfulJobsHistoryLimit"] >= 1
    assert spec["failedJobsHistoryLimit"] >= 1
    job = spec["jobTemplate"]["spec"]
    assert job["activeDeadlineSeconds"] > 0
    assert job["backoffLimit"] <= 1


@pytest.mark.parametrize(
    ("place", "reader"),
    [
        ("components/outcomes/cron-job.yaml:outcomes", PROJECT / "model" / "observed" / "log_index.py"),
        ("components/filebeat/daemon-set.yaml:filebeat", FILEBEAT),
    ],
)
def test_credentials_of_elasticsearch_are_read(place: str, reader: Path) -> None:
    """Under the names that the program knows, and from one Secret."""
    _, container = CONTAINERS[place]
    secrets = {one["name"]: one["valueFrom"].get("secretKeyRef") for one in container["env"]}
    keys = {name: secret["key"] for name, secret in secrets.items() if secret}
    expected = {"API_KEY": "api-key", "USERNAME": "username", "PASSWORD": "password"}
    assert keys == {f"ELASTICSEARCH_{name}": key for name, key in expected.items()}
    text = reader.read_text(encoding="utf-8")
    assert all(f'"{name}"' in text or f"ELASTICSEARCH_{name}" in text for name in expected)
    assert {secret["name"] for secret in secrets.values() if secret} == {"treeserve-elasticsearch"}


def test_filebeat_reads_what_the_service_logs() -> None:
    """Of containers by the service's name, from where the node's logs are mounted."""
    _, container = CONTAINERS["components/filebeat/daemon-set.yaml:filebeat"]
    mounted = {mount["mountPath"] for mount in container["volumeMounts"]}
    [path] = yaml.safe_load(FILEBEAT.read_text(encoding="utf-8"))["filebeat.inputs"][0]["paths"]
    folder, name = re.fullmatch(r"\$\{POD_LOGS:(\S+)\}/\*/(\w+)/\*\.log\*", path).groups()  # type: ignore[union-attr]
    assert folder in mounted
    assert f"base/deployment.yaml:{name}" in CONTAINERS
    assert "/usr/share/filebeat/data" in mounted


def test_the_rules_are_those_of_prometheus() -> None:
    """`python -m monitoring.prometheus.manifest` makes them."""
    assert manifest.PLACE.read_text(encoding="utf-8") == manifest.build()
    [rule] = documents(manifest.PLACE)
    assert rule["spec"] == yaml.safe_load(manifest.RULES.read_text(encoding="utf-8"))


def test_replicas_follow_a_metric_that_there_is(exposed: dict[str, ExposedMetric]) -> None:
    """The adapter makes what the autoscaler asks for of what the service exposes."""
    [(_, autoscaler)] = objects("HorizontalPodAutoscaler")
    asked = {one["pods"]["metric"]["name"] for one in autoscaler["spec"]["metrics"] if one["type"] == "Pods"}
    [rule] = adapter_rules()
    assert asked == {rule["name"]["as"]}
    series = {name for metric in exposed.values() for name in metric.series}
    assert set(re.findall(r"treeserve_\w+", rule["seriesQuery"] + rule["metricsQuery"])) <= series
    assert "namespace" in rule["resources"]["overrides"]
    assert "pod" in rule["resources"]["overrides"]


@with_promtool
def test_prometheus_takes_what_the_adapter_asks(tmp_path: Path) -> None:
    """With the adapter's places filled in as it does."""
    [rule] = adapter_rules()
    query = (
        rule["metricsQuery"].replace("<<.LabelMatchers>>", 'namespace="a",pod=~"b|c"').replace("<<.GroupBy>>", "pod")
    )
    assert "<<" not in query
    for expression, taken in ((query, True), (query + ")", False)):
        file = tmp_path / "rules.yml"
        rules = [{"record": "in_flight", "expr": expression}]
        file.write_text(yaml.safe_dump({"groups": [{"name": "adapter", "rules": rules}]}), encoding="utf-8")
        ended = subprocess.run(["promtool", "check", "rules", file], capture_output=True, check=False, timeout=60)
        assert (ended.returncode == 0) == taken, ended.stderr


def adapter_rules() -> list[dict[str, Any]]:
    """What prometheus-adapter is told."""
    [values] = documents(COMPONENTS / "hpa" / "prometheus-adapter.values.yaml")
    rules: list[dict[str, Any]] = values["rules"]["custom"]
    return rules
