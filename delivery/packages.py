"""What is installed in an image, by the files that say so: Debian's packages, Python's, and a Python of no package."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from email import message_from_bytes
from email.message import Message
from typing import Any

from delivery.licences import debian_licences, python_licences

_OF_INTEREST = re.compile(
    r"(usr/lib|etc)/os-release"
    r"|var/lib/dpkg/status(\.d/[^/]+)?"
    r"|usr/share/doc/[^/]+/copyright"
    r"|usr/local/include/python3[^/]*/patchlevel\.h"
    r"|.*/(site|dist)-packages/[^/]+\.dist-info/(METADATA|sboms/.+\.json)"
    r"|.*/(site|dist)-packages/[^/]+\.libs/[^/]+"
)
_INFO = re.compile(r"(?P<folder>.*/(?:site|dist)-packages)/(?P<stem>[^/-]+)-[^/]+\.dist-info/METADATA")


@dataclass(frozen=True)
class Package:
    """
    Something that is installed.

    Attributes
    ----------
    kind : str
        What a package URL says of it: ``deb``, ``pypi``, ``generic``.
    name, version : str
    licences : tuple of str
        As it states them itself, in SPDX's terms where they can be told; empty if it does not.
    source : str
        Of a Debian package, the one that it was built from.
    architecture : str
        Of a Debian package.
    bundled : tuple of dict
        What it brings inside, such as Rust's crates, as its own CycloneDX documents describe it.
    libraries : tuple of tuple
        Of shared libraries that it brings: file name and SHA-256.
    """

    kind: str
    name: str
    version: str
    licences: tuple[str, ...] = ()
    source: str = ""
    architecture: str = ""
    bundled: tuple[dict[str, Any], ...] = ()
    libraries: tuple[tuple[str, str], ...] = ()


def is_of_interest(path: str) -> bool:
    """Whether a file of an image says what is installed in it."""
    return _OF_INTEREST.fullmatch(path) is not None


def find_system(files: Mapping[str, bytes]) -> tuple[str, str]:
    """Name and version of the distribution, as in ``("debian", "12")``; empty if there is none."""
    text = (files.get("etc/os-release") or files.get("usr/lib/os-release") or b"").decode()
    values = dict(line.partition("=")[::2] for line in text.splitlines())
    return values.get("ID", "").strip('"'), values.get("VERSION_ID", "").strip('"')


def find_packages(files: Mapping[str, bytes]) -> list[Package]:
    """
    Find all that is installed.

    Parameters
    ----------
    files : mapping of str to bytes
        An image's files by their paths, those that `is_of_interest` names.

    Returns
    -------
    list of Package
        By kind and name.
    """
    found = [*_debian(files), *_python(files), *_interpreters(files)]
    return sorted(found, key=lambda package: (package.kind, package.name.lower(), package.version))


def _debian(files: Mapping[str, bytes]) -> list[Package]:
    packages = []
    for path in files:
        if not path.startswith("var/lib/dpkg/status"):
            continue
        for paragraph in re.split(rb"\n\n+", files[path].strip()):
            fields = message_from_bytes(paragraph)
            if path == "var/lib/dpkg/status" and not (fields["Status"] or "").endswith(" installed"):
                continue
            name = fields["Package"]
            source = (fields["Source"] or name).partition(" ")[0]
            text = files.get(f"usr/share/doc/{name}/copyright", b"").decode(errors="replace")
            licences = debian_licences(name, text)
            packages.append(Package("deb", name, fields["Version"], licences, source, fields["Architecture"] or ""))
    return packages


def _python(files: Mapping[str, bytes]) -> list[Package]:
    packages = []
    for path, content in files.items():
        if not (info := _INFO.fullmatch(path)):
            continue
        metadata = message_from_bytes(content)
        packages.append(
            Package(
                "pypi",
                _required(metadata, "Name", path),
                _required(metadata, "Version", path),
                python_licences(metadata),
                bundled=_bundled(files, path.removesuffix("METADATA") + "sboms/"),
                libraries=_libraries(files, f"{info['folder']}/{info['stem']}.libs/"),
            )
        )
    return packages


def _required(metadata: Message, field: str, path: str) -> str:
    value = metadata[field]
    assert value, f"{path} has no {field}"
    return str(value)


def _bundled(files: Mapping[str, bytes], folder: str) -> tuple[dict[str, Any], ...]:
    """The components of the CycloneDX documents that a wheel brings along, as PEP 770 has it, each once."""
    found: dict[str, dict[str, Any]] = {}
    for path in sorted(path for path in files if path.startswith(folder)):
        document = json.loads(files[path])
        for component in document.get("components", ()) if document.get("bomFormat") == "CycloneDX" else ():
            found.setdefault(component.get("purl") or f"{component['name']} {component.get('version')}", component)
    return tuple(found.values())


def _libraries(files: Mapping[str, bytes], folder: str) -> tuple[tuple[str, str], ...]:
    paths = sorted(path for path in files if path.startswith(folder))
    return tuple((path.removeprefix(folder), hashlib.sha256(files[path]).hexdigest()) for path in paths)


def _interpreters(files: Mapping[str, bytes]) -> list[Package]:
    """Official images of Python have one that was compiled there, which no package manager knows."""
    headers = (text.decode() for path, text in files.items() if path.endswith("/patchlevel.h"))
    versions = (re.search(r'#define PY_VERSION\s+"([^"]+)"', text) for text in headers)
    return [Package("generic", "python", found[1], ("Python-2.0",)) for found in versions if found]
