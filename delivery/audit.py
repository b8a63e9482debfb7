"""Asks for known vulnerabilities of all that is locked: `make audit`."""

from __future__ import annotations

import re
import subprocess
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from delivery.errors import DeliveryFailed

EXCEPTIONS = "requirements/advisories.toml"
_LOCKED = re.compile(r"^([a-z0-9-]+)(?:\[.*\])?==", re.MULTILINE)
_OSV = "https://api.osv.dev/v1/query"


@dataclass(frozen=True)
class LeftOut:
    """A known vulnerability that is no reason to fail: which, of which package, why, and until when."""

    id: str
    package: str
    reason: str
    until: date


def read_exceptions(path: Path, today: date) -> list[LeftOut]:
    """
    Read those that hold.

    Raises
    ------
    DeliveryFailed
        If one has no reason, or its day has passed: it is to be looked at again.
    """
    told = tomllib.loads(path.read_text(encoding="utf-8"))
    try:
        found = [LeftOut(**entry) for entry in told.get("exception", ())]
    except TypeError as error:
        raise DeliveryFailed(f"{path.name}: {error}") from None
    for left_out in found:
        if type(left_out.until) is not date:
            raise DeliveryFailed(f"{path.name} leaves {left_out.id} out until {left_out.until!r}, which is no date")
        if not left_out.reason.strip():
            raise DeliveryFailed(f"{path.name} leaves {left_out.id} out without a reason")
        if left_out.until < today:
            raise DeliveryFailed(f"{path.name} left {left_out.id} of {left_out.package} out until {left_out.until}")
    return found


def audit(program: Path, locks: Sequence[Path], exceptions: Sequence[LeftOut], service: str = _OSV) -> None:
    """
    Ask OSV, which has PyPI's advisories and GitHub's, about each version in lock files; nothing is installed.

    Parameters
    ----------
    program : pathlib.Path
        pip-audit.
    locks : sequence of pathlib.Path
        With hashes.
    exceptions : sequence of LeftOut
    service : str
        Where OSV answers.

    Raises
    ------
    DeliveryFailed
        If something is known, or could not be asked; or if what is left out is of a package that is not there.
    """
    # Not PyPI's own service: a package that it does not answer for, behind a mirror all of them, is passed over.
    command = [str(program), "--vulnerability-service", "osv", "--osv-url", service]
    command += ["--disable-pip", "--require-hashes", "--progress-spinner", "off"]
    for lock in locks:
        command += ["--requirement", str(lock)]
    locked = {name for lock in locks for name in _LOCKED.findall(lock.read_text(encoding="utf-8"))}
    for left_out in exceptions:
        if left_out.package not in locked:
            raise DeliveryFailed(f"{EXCEPTIONS} leaves out {left_out.id} of {left_out.package}, which is not locked")
        print(f"left out until {left_out.until}: {left_out.id} of {left_out.package}: {left_out.reason}", flush=True)
        command += ["--ignore-vuln", left_out.id]
    if subprocess.run(command, check=False).returncode:
        raise DeliveryFailed(
            "what is locked does not pass. Take newer ones with make lock ARGS='--upgrade-package NAME'; what cannot be"
            f" mended yet is left out in {EXCEPTIONS}, with a reason. Without a way to {service} nothing passes."
        )
