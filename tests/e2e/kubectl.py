"""
A `kubectl` for tests: it knows one Deployment, whose state and fate stand in the file that `FAKE_KUBECTL` names.

Its pods are ready at once, or never; what a port is forwarded to is a real service of the test's.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

STATE = Path(os.environ["FAKE_KUBECTL"])


def main(arguments: list[str]) -> int:
    """Do as kubectl does with these arguments."""
    state = json.loads(STATE.read_text())
    state["calls"].append(" ".join(arguments))
    write(state)
    assert arguments[:2] == ["--namespace", "treeserve"], arguments
    status = answer(state, arguments[2:])
    write(state)
    return status


def write(state: dict[str, Any]) -> None:
    """Keep it, whole at any time."""
    whole = STATE.with_name(f"state-{os.getpid()}")
    whole.write_text(json.dumps(state))
    whole.rename(STATE)


def answer(state: dict[str, Any], arguments: list[str]) -> int:
    """Answer one command, and change the state."""
    match arguments:
        case ["get", "deployment", "treeserve", "--output", "json"]:
            print(json.dumps(deployment(state)))
        case ["get", "pods", "--selector", "app=treeserve", "--output", "json"]:
            print(json.dumps({"items": [pod(f"pod-{n}", state["image"]) for n in range(state["n_pods"])]}))
        case ["set", "image", "deployment/treeserve", change]:
            state["image"] = change.removeprefix("treeserve=")
            state["revision"] += 1
            state["images"][str(state["revision"])] = state["image"]
        case ["rollout", "status", "deployment/treeserve", _]:
            if state["image"] in state["never_ready"]:
                print("error: deployment exceeded its progress deadline", file=sys.stderr)
                return 1
        case ["rollout", "undo", "deployment/treeserve", revision]:
            state["image"] = state["images"][revision.removeprefix("--to-revision=")]
            state["revision"] += 1
        case ["logs", name, "--container", "treeserve", "--tail=20"]:
            print(f"the log of {name}")
        case ["port-forward", "--address", "127.0.0.1", name, ":8080"]:
            port = state["ports"][state["image"]]
            if port is None:
                print(f"error: {name} is gone", file=sys.stderr)
                return 1
            print(f"Forwarding from 127.0.0.1:{port} -> 8080", flush=True)
            time.sleep(30)  # until it is ended
        case _:
            print(f"error: unknown command {arguments}", file=sys.stderr)
            return 1
    return 0


def deployment(state: dict[str, Any]) -> dict[str, Any]:
    """The Deployment, as far as anybody asks."""
    container = {"name": "treeserve", "image": state["image"]}
    return {
        "metadata": {"annotations": {"deployment.kubernetes.io/revision": str(state["revision"])}},
        "spec": {
            "selector": {"matchLabels": {"app": "treeserve"}},
            "template": {"spec": {"containers": [{"name": "sidecar", "image": "other"}, container]}},
        },
    }


def pod(name: str, image: str) -> dict[str, Any]:
    """One of its pods."""
    return {"metadata": {"name": name}, "spec": {"containers": [{"name": "treeserve", "image": image}]}}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
