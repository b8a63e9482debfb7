"""The servers that are compared: how each is started, and the form of its requests and answers."""

from __future__ import annotations

from collections.abc import Mapping

from benchmarks.peers import numeric_model
from benchmarks.peers.forms import DATA, INPUTS, INSTANCES, NAMED, SPLIT, TENSOR
from benchmarks.peers.peer import MODEL_NAME, Peer, Site
from tests.processes import PROJECT, free_port

OWN = "treeserve"
SAMPLED = "treeserve-sampled"
CEILING = "uvicorn"
TUTORIAL = "fastapi"
MLSERVER = "mlserver"
ALWAYS = IN_THE_SERVING_ENVIRONMENT = (CEILING, OWN, SAMPLED)


def _serve(site: Site) -> list[str]:
    return [site.program("treeserve"), "serve"]


def _own_variables(site: Site) -> Mapping[str, str]:
    return {
        "MLFLOW_TRACKING_URI": site.model.tracking_uri,
        "TREESERVE_MODEL_URI": numeric_model.URI,
        "TREESERVE_CACHE_DIR": str(site.home / "cache"),
        "TREESERVE_PORT": str(site.port),
        "TREESERVE_PAYLOAD_LOG": "./payload.log",
    }


def _sampled(site: Site) -> Mapping[str, str]:
    return {**_own_variables(site), "TREESERVE_PAYLOAD_SAMPLE_RATE": "0.01"}


def _python(site: Site) -> list[str]:
    return [site.program("python"), site.file("server.py"), str(site.port)]


PEERS = (
    Peer(
        CEILING,
        "bare uvicorn",
        "uvicorn",
        lambda site: [site.program("python"), str(PROJECT / "benchmarks" / "bare.py"), str(site.port)],
        "/predict",
        NAMED,
        detail=", a constant answer",
        is_ceiling=True,
        note="The ceiling: it reads no body and predicts nothing.",
    ),
    Peer(
        OWN,
        "treeserve",
        None,
        _serve,
        "/predict",
        NAMED,
        _own_variables,
        note="Validation, metrics and the payload log of every instance to a file are on. The others log no payload.",
    ),
    Peer(
        SAMPLED,
        "treeserve",
        None,
        _serve,
        "/predict",
        NAMED,
        _sampled,
        detail=", 1 % logged",
    ),
    Peer(
        TUTORIAL,
        "tutorial FastAPI",
        "fastapi",
        lambda site: [
            *[site.program("python"), str(PROJECT / "benchmarks" / "tutorial.py")],
            *[str(site.model.folder), str(site.port)],
        ],
        "/predict",
        NAMED,
        note="A pydantic model, an `async` endpoint and a `DMatrix`, on `uvicorn[standard]`.",
    ),
    Peer(
        MLSERVER,
        "MLServer",
        "mlserver",
        lambda site: [site.program("mlserver"), "start", site.file("")],
        f"/v2/models/{MODEL_NAME}/infer",
        TENSOR,
        lambda site: {
            "MLSERVER_HOST": "127.0.0.1",
            "MLSERVER_HTTP_PORT": str(site.port),
            "MLSERVER_GRPC_PORT": str(free_port()),
            "MLSERVER_METRICS_PORT": str(free_port()),
            "MLSERVER_MODEL_URI": str(site.model.booster_file),
        },
        note="With mlserver-xgboost, and without its pool of processes, which gains nothing on one core and does not "
        "start with the locked uvloop.",
    ),
    Peer(
        "kserve",
        "KServe",
        "kserve",
        lambda site: [
            *[site.program("python"), site.file("server.py"), "--http_port", str(site.port)],
            *["--enable_grpc", "false", "--enable_latency_logging", "false"],
            *["--log_config_file", site.file("logging.json")],
        ],
        f"/v1/models/{MODEL_NAME}:predict",
        INSTANCES,
        note="Its xgbserver is an image and no package: `kserve.Model` with what that does.",
    ),
    Peer(
        "bentoml",
        "BentoML",
        "bentoml",
        lambda site: [
            *[site.program("bentoml"), "serve", "service:FlightDelay", "--working-dir", site.file("")],
            *["--host", "127.0.0.1", "--port", str(site.port)],
        ],
        "/predict",
        DATA,
        lambda site: {
            "BENTOML_HOME": str(site.home),
            "BENTOML_DO_NOT_TRACK": "true",
        },
    ),
    Peer("litserve", "LitServe", "litserve", _python, "/predict", INSTANCES),
    Peer(
        "ray_serve",
        "Ray Serve",
        "ray",
        _python,
        "/",
        INSTANCES,
        # What its page on performance names, short of the switch for all of it, which needs HAProxy in front.
        lambda _: {
            "RAY_SERVE_RUN_USER_CODE_IN_SEPARATE_THREAD": "0",
            "RAY_SERVE_RUN_ROUTER_IN_SEPARATE_LOOP": "0",
            "RAY_SERVE_REQUEST_PATH_LOG_BUFFER_SIZE": "1000",
            "RAY_SERVE_LOG_TO_STDERR": "0",
            "RAY_USAGE_STATS_ENABLED": "0",
        },
        note="One replica; its proxy, controller and Ray's own processes share the core.",
    ),
    Peer(
        "timber",
        "Timber",
        "timber-compiler",
        lambda site: [
            *[site.program("timber"), "serve", MODEL_NAME, "--host", "127.0.0.1", "--port", str(site.port)],
        ],
        "/api/predict",
        INPUTS,
        lambda site: {"TIMBER_HOME": str(site.home)},
        lambda site: [site.program("timber"), "load", str(site.model.booster_file), "--name", MODEL_NAME],
        note="Compiles the trees to C; a connection for each request, since it speaks HTTP/1.0.",
    ),
    Peer(
        "mlflow",
        "`mlflow models serve`",
        "mlflow",
        lambda site: [
            *[site.program("mlflow"), "models", "serve", "--model-uri", numeric_model.URI, "--env-manager", "local"],
            *["--host", "127.0.0.1", "--port", str(site.port), "--workers", "1"],
        ],
        "/invocations",
        SPLIT,
        lambda site: {"MLFLOW_TRACKING_URI": site.model.tracking_uri, "UVICORN_ACCESS_LOG": "false"},
    ),
)
