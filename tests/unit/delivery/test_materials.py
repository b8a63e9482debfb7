"""What `make materials` finds in an image's files, and what it writes of it."""

from __future__ import annotations

import io
import json
import sys
import sysconfig
import tarfile
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from delivery.errors import DeliveryFailed
from delivery.filesystem import read_archive
from delivery.materials import list_licences, make_document
from delivery.packages import Package, find_packages, find_system, is_of_interest

SITE = "opt/treeserve/lib/python3.11/site-packages"
STATUS = """Package: libc6
Status: install ok installed
Architecture: amd64
Source: glibc (2.36-9)
Version: 2.36-9+deb12u1

Package: gone
Status: deinstall ok config-files
Architecture: amd64
Version: 1

Package: libgcc-s1
Status: hold ok installed
Architecture: amd64
Version: 12.2.0-14
Description: with
 an empty line
 .
 and more
"""
INSIDE = {
    "bomFormat": "CycloneDX",
    "components": [
        {"name": "serde", "version": "1.0", "purl": "pkg:cargo/serde@1.0", "licenses": [{"expression": "MIT OR 0BSD"}]},
        {"name": "libz", "version": "1.3", "type": "library", "licenses": [{"license": {"name": "its own"}}]},
    ],
}
FILES = {
    "etc/os-release": 'NAME="Debian GNU/Linux"\nID=debian\nVERSION_ID="12"\n',
    "var/lib/dpkg/status": STATUS,
    "usr/share/doc/libc6/copyright": "This is a text about licences.\n",
    "usr/share/doc/gcc-12-base/copyright": "Format: 1.0\nLicense: GPL-3+\n text\n\nLicense: Expat or X\n",
    "usr/local/include/python3.11/patchlevel.h": '#define PY_VERSION      "3.11.14"\n',
    f"{SITE}/numpy-2.0.dist-info/METADATA": "Name: numpy\nVersion: 2.0\nLicense-Expression: BSD-3-Clause AND MIT\n",
    f"{SITE}/numpy-2.0.dist-info/sboms/inside.cdx.json": json.dumps(INSIDE),
    f"{SITE}/numpy-2.0.dist-info/sboms/other.spdx.json": "{}",
    f"{SITE}/numpy.libs/libblas.so": "blas",
    f"{SITE}/old-1.0.dist-info/METADATA": "Name: old\nVersion: 1.0\nLicense: BSD\n"
    "Classifier: License :: OSI Approved\nClassifier: License :: OSI Approved :: ISC License (ISCL)\n",
    f"{SITE}/silent-1.0.dist-info/METADATA": "Name: silent\nVersion: 1.0\n",
    f"{SITE}/silent/__init__.py": "",
}
LINKS = {"usr/share/doc/libgcc-s1": "gcc-12-base"}


def make_archive(files: dict[str, str], links: dict[str, str]) -> io.BytesIO:
    """As an engine exports them."""
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as members:
        for link, target in links.items():
            member = tarfile.TarInfo(link)
            member.type, member.linkname = tarfile.SYMTYPE, target
            members.addfile(member)
        for path, text in files.items():
            member = tarfile.TarInfo(path)
            member.size = len(text.encode())
            members.addfile(member, io.BytesIO(text.encode()))
    archive.seek(0)
    return archive


@pytest.fixture(scope="module")
def files() -> dict[str, bytes]:
    return read_archive(make_archive(FILES, LINKS), is_of_interest)


@pytest.fixture(scope="module")
def packages(files: dict[str, bytes]) -> dict[str, Package]:
    return {package.name: package for package in find_packages(files)}


def describe(packages: list[Package]) -> dict[str, Any]:
    labels = {"org.opencontainers.image.created": "2026-03-01T10:00:00+00:00"}
    text = make_document("localhost/treeserve:0.1.0", labels, ("debian", "12"), packages)
    assert text == make_document("localhost/treeserve:0.1.0", labels, ("debian", "12"), packages)
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    document: dict[str, Any] = json.loads(text)
    return document


def test_only_files_that_say_what_is_installed_are_read(files: dict[str, bytes]) -> None:
    assert files.keys() == (FILES.keys() | {"usr/share/doc/libgcc-s1/copyright"}) - {f"{SITE}/silent/__init__.py"}


def test_all_that_is_installed_is_found(packages: dict[str, Package]) -> None:
    """And what was removed is not."""
    found = {(package.kind, package.name, package.version) for package in packages.values()}
    assert found == {
        ("deb", "libc6", "2.36-9+deb12u1"),
        ("deb", "libgcc-s1", "12.2.0-14"),
        ("generic", "python", "3.11.14"),
        ("pypi", "numpy", "2.0"),
        ("pypi", "old", "1.0"),
        ("pypi", "silent", "1.0"),
    }


@pytest.mark.parametrize(
    ("name", "licences"),
    [
        ("numpy", ("BSD-3-Clause AND MIT",)),
        ("old", ("ISC",)),
        ("silent", ()),
        ("libc6", ("see /usr/share/doc/libc6/copyright",)),
        ("libgcc-s1", ("GPL-3.0-or-later", "MIT", "X")),  # through a link
    ],
)
def test_licences_are_those_that_packages_state(
    packages: dict[str, Package], name: str, licences: tuple[str, ...]
) -> None:
    assert packages[name].licences == licences


def test_the_document_has_what_scanners_look_for(files: dict[str, bytes]) -> None:
    assert find_system(files) == ("debian", "12")
    document = describe(find_packages(files))
    by_name = {component["name"]: component for component in document["components"]}
    assert by_name["libc6"]["purl"] == (
        "pkg:deb/debian/libc6@2.36-9%2Bdeb12u1?arch=amd64&distro=debian-12&upstream=glibc"
    )
    assert by_name["numpy"]["purl"] == "pkg:pypi/numpy@2.0"
    assert by_name["numpy"]["licenses"] == [{"expression": "BSD-3-Clause AND MIT"}]
    assert by_name["python"]["cpe"].startswith("cpe:2.3:a:python:python:3.11.14:")
    assert (by_name["debian"]["type"], by_name["debian"]["version"]) == ("operating-system", "12")
    root = document["metadata"]["component"]
    assert (root["type"], root["name"], root["version"]) == ("container", "treeserve", "0.1.0")


def test_what_a_wheel_brings_along_is_within_it(files: dict[str, bytes]) -> None:
    document = describe(find_packages(files))
    [numpy] = [component for component in document["components"] if component["name"] == "numpy"]
    inside = {component["name"]: component for component in numpy["components"]}
    assert inside.keys() == {"serde", "libz", "libblas.so"}
    assert inside["serde"]["purl"] == "pkg:cargo/serde@1.0"
    assert inside["libz"]["licenses"] == [{"license": {"name": "its own"}}]
    assert inside["libblas.so"]["hashes"][0]["alg"] == "SHA-256"


def test_each_package_of_this_environment_has_version_purl_and_licence() -> None:
    """The real ones, of every lock file together."""
    folder = Path(sysconfig.get_path("purelib"))
    files = {path.relative_to("/").as_posix(): path.read_bytes() for path in folder.glob("*.dist-info/METADATA")}
    document = json.loads(make_document("treeserve:1", {}, ("", ""), find_packages(files)))
    installed = {dist.name.lower(): dist.version for dist in distributions(path=sys.path)}
    listed = {component["name"].lower(): component for component in document["components"]}
    assert {name: component["version"] for name, component in listed.items()} == installed
    assert [name for name, component in listed.items() if not component["purl"].startswith("pkg:pypi/")] == []
    assert [name for name, component in listed.items() if "licenses" not in component] == []


def test_a_document_that_is_not_valid_is_not_written() -> None:
    with pytest.raises(DeliveryFailed, match="not valid"):
        make_document("treeserve:1", {}, ("", ""), [Package("pypi", "x", "1", libraries=(("libx.so", "no digest"),))])


def test_the_list_of_licences_has_a_line_for_each(files: dict[str, bytes]) -> None:
    lines = list_licences(find_packages(files)).splitlines()
    assert [line.split()[1] for line in lines] == ["libc6", "libgcc-s1", "python", "numpy", "old", "silent"]
    assert lines[-1].endswith("not stated")
    assert lines[3].endswith("  BSD-3-Clause AND MIT")
