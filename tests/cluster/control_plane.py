"""A Kubernetes control plane of one test session: etcd, API server, controller manager and scheduler, as they are."""

from __future__ import annotations

import json
import secrets
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.cluster.tools import ETCD, KUBERNETES
from tests.processes import clean_environment, free_port, run_process
from tests.services import wait

_STARTS_WITHIN_S = 120
# Who asks the API server, and the groups that its own roles give rights to.
ADMINISTRATOR = "administrator"
_USERS = {
    ADMINISTRATOR: ["system:masters"],
    "system:kube-controller-manager": [],
    "system:kube-scheduler": [],
    "system:kube-proxy": [],
}


@dataclass(frozen=True)
class ControlPlane:
    """A control plane that answers."""

    url: str
    folder: Path

    @property
    def certificate(self) -> Path:
        """The API server's, which also vouches for it to kubelets."""
        return self.folder / "server.crt"

    def kubeconfig(self, user: str) -> Path:
        """The file by which a user asks."""
        return self.folder / f"{user.replace(':', '-')}.kubeconfig"

    def kubectl(self, *arguments: str, given: Any = None, at_most_s: float = 120.0) -> str:
        """
        What kubectl says.

        Parameters
        ----------
        *arguments : str
        given : str, or what JSON can say, optional
            The standard input.
        at_most_s : float

        Raises
        ------
        AssertionError
            If it fails, with what it says.
        """
        ended = self.try_kubectl(*arguments, given=given, at_most_s=at_most_s)
        assert ended.returncode == 0, f"kubectl {' '.join(arguments)}: {ended.stderr[-3000:]}"
        return ended.stdout

    def try_kubectl(
        self, *arguments: str, given: Any = None, at_most_s: float = 120.0
    ) -> subprocess.CompletedProcess[str]:
        """The same, where kubectl may fail."""
        command = [
            str(KUBERNETES.folder / "kubectl"),
            f"--kubeconfig={self.kubeconfig(ADMINISTRATOR)}",
            f"--cache-dir={self.folder / 'kubectl'}",
            *arguments,
        ]
        text = given if given is None or isinstance(given, str) else json.dumps(given)
        environment = clean_environment(self.folder)
        return subprocess.run(
            command, input=text, env=environment, capture_output=True, text=True, check=False, timeout=at_most_s
        )

    def get(self, *arguments: str) -> Any:
        """What ``kubectl get`` finds."""
        return json.loads(self.kubectl("get", *arguments, "--output=json"))


@contextmanager
def run_control_plane(
    folder: Path, address: str = "127.0.0.1", services: str = "10.96.0.0/24", nodes: Sequence[str] = ()
) -> Iterator[ControlPlane]:
    """
    Start one, which ends with the block.

    Parameters
    ----------
    folder : pathlib.Path
        For all that it writes.
    address : str
        Where the API server listens; the rest is on loopback.
    services : str
        The network that Services get their addresses from.
    nodes : sequence of str
        The names of the nodes that may register. Where there are none, nothing but the API server and etcd is started.
    """
    folder.mkdir(parents=True)
    port = free_port()
    plane = ControlPlane(f"https://{address}:{port}", folder)
    _write_certificate(plane.certificate, address)
    _write_users(plane, nodes)
    with ExitStack() as running:
        store = f"http://127.0.0.1:{free_port()}"
        etcd = ["--data-dir", str(folder / "etcd"), "--listen-client-urls", store, "--advertise-client-urls", store]
        peers = f"http://127.0.0.1:{free_port()}"
        etcd += ["--listen-peer-urls", peers, "--initial-advertise-peer-urls", peers]
        etcd += ["--initial-cluster", f"default={peers}", "--unsafe-no-fsync", "--log-level", "warn"]

        def start(name: str, *command: str) -> subprocess.Popen[str]:
            started = ["setpriv", "--pdeathsig", "KILL", *command]
            return running.enter_context(run_process(started, clean_environment(folder), folder / name))

        start("etcd", str(ETCD.folder / "etcd"), *etcd)
        options = _api_server(plane, port, store, services)
        server = start("kube-apiserver", str(KUBERNETES.folder / "kube-apiserver"), *options)
        for _ in wait(_STARTS_WITHIN_S, every_s=0.2):
            assert server.poll() is None, (folder / "kube-apiserver" / "stderr").read_text()[-3000:]
            if plane.try_kubectl("get", "--raw", "/readyz").returncode == 0:
                break
        if nodes:
            key = f"--service-account-private-key-file={folder / 'server.key'}"
            roots = f"--root-ca-file={plane.certificate}"
            start("kube-controller-manager", *_client(plane, "kube-controller-manager"), key, roots,
                  "--use-service-account-credentials=true")  # fmt: skip
            start("kube-scheduler", *_client(plane, "kube-scheduler"))
        yield plane


def _api_server(plane: ControlPlane, port: int, store: str, services: str) -> list[str]:
    certificate, key = str(plane.certificate), str(plane.folder / "server.key")
    address = plane.url.removeprefix("https://").rpartition(":")[0]
    options = {
        "etcd-servers": store,
        "bind-address": address,
        "advertise-address": address,
        "secure-port": str(port),
        "endpoint-reconciler-type": "none",
        "tls-cert-file": certificate,
        "tls-private-key-file": key,
        "client-ca-file": certificate,
        "token-auth-file": str(plane.folder / "users.csv"),
        "authorization-mode": "Node,RBAC",
        "enable-admission-plugins": "NodeRestriction",
        "service-account-issuer": "https://kubernetes.default.svc",
        "service-account-key-file": certificate,
        "service-account-signing-key-file": key,
        "service-cluster-ip-range": services,
        "kubelet-client-certificate": certificate,
        "kubelet-client-key": key,
        "kubelet-preferred-address-types": "InternalIP",
    }
    return [f"--{name}={value}" for name, value in options.items()]


def _client(plane: ControlPlane, name: str) -> list[str]:
    """A program that asks the API server and is itself asked by nobody but this machine."""
    config = plane.kubeconfig(f"system:{name}")
    return [
        str(KUBERNETES.folder / name),
        f"--kubeconfig={config}",
        f"--authentication-kubeconfig={config}",
        f"--authorization-kubeconfig={config}",
        "--bind-address=127.0.0.1",
        f"--secure-port={free_port()}",
        f"--cert-dir={plane.folder / name}",
        "--leader-elect=false",
    ]


def _write_certificate(certificate: Path, address: str) -> None:
    """One that vouches for itself, of the server and of the administrator as a client of kubelets; a day will do."""
    key = [
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:P-256",
        "-noenc",
        "-keyout",
        str(certificate.with_suffix(".key")),
    ]
    subject = ["-subj", "/O=system:masters/CN=kube-apiserver", "-addext", f"subjectAltName=IP:{address}"]
    command = ["openssl", "req", "-x509", "-days", "1", *key, *subject, "-out", str(certificate)]
    subprocess.run(command, check=True, capture_output=True, timeout=20)


def _write_users(plane: ControlPlane, nodes: Sequence[str]) -> None:
    """A token and a kubeconfig for everybody who asks."""
    users = _USERS | {f"system:node:{node}": ["system:nodes"] for node in nodes}
    lines = []
    for user, groups in users.items():
        token = secrets.token_hex(16)
        lines.append(f'{token},{user},{user},"{",".join(groups)}"\n')
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [
                {"name": "test", "cluster": {"server": plane.url, "certificate-authority": str(plane.certificate)}}
            ],
            "users": [{"name": user, "user": {"token": token}}],
            "contexts": [{"name": "test", "context": {"cluster": "test", "user": user}}],
            "current-context": "test",
        }
        plane.kubeconfig(user).write_text(json.dumps(config))
    (plane.folder / "users.csv").write_text("".join(lines))
