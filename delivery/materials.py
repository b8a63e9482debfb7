"""What is in an image, as a CycloneDX document and as a list of licences: `make materials`."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from cyclonedx.contrib.license.factories import LicenseFactory
from cyclonedx.model import HashAlgorithm, HashType, Property
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.model.license import License
from cyclonedx.output.json import JsonV1Dot6
from cyclonedx.schema import SchemaVersion
from cyclonedx.spdx import is_supported_id
from cyclonedx.validation.json import JsonStrictValidator
from packageurl import PackageURL

from delivery.engine import Engine
from delivery.errors import DeliveryFailed
from delivery.filesystem import read_image
from delivery.packages import Package, find_packages, find_system, is_of_interest

_UNSTATED = "not stated"
_licences = LicenseFactory()


def write_materials(engine: Engine, image: str, folder: Path, name: str) -> list[Path]:
    """
    Write both documents of an image that is on this machine.

    Parameters
    ----------
    engine : Engine
    image : str
        Its name and tag.
    folder : pathlib.Path
        Where they are written to; it is made.
    name : str
        Theirs, before ``.cdx.json`` and ``.licences.txt``.

    Returns
    -------
    list of pathlib.Path

    Raises
    ------
    DeliveryFailed
        If the image cannot be read, or what comes of it is no valid document.
    """
    files = read_image(engine, image, is_of_interest)
    packages = find_packages(files)
    labels = engine.inspect(image)["Config"]["Labels"] or {}
    document = make_document(image, labels, find_system(files), packages)
    folder.mkdir(parents=True, exist_ok=True)
    written = {folder / f"{name}.cdx.json": document, folder / f"{name}.licences.txt": list_licences(packages)}
    for path, text in written.items():
        path.write_text(text, encoding="utf-8")
    return list(written)


def make_document(image: str, labels: dict[str, str], system: tuple[str, str], packages: Sequence[Package]) -> str:
    """
    Describe an image.

    Parameters
    ----------
    image : str
        Its name and tag.
    labels : dict of str to str
    system : tuple of str
        Name and version of the distribution it is built on.
    packages : sequence of Package

    Returns
    -------
    str
        CycloneDX 1.6 as JSON, valid, and the same for the same image.
    """
    name, _, version = image.rpartition("/")[2].partition(":")
    root = Component(name=name, version=version, type=ComponentType.CONTAINER, bom_ref=image)
    root.properties.update(Property(name=f"oci:label:{label}", value=value) for label, value in labels.items())
    components = [_component(package, system) for package in packages]
    if system[0]:
        components.append(
            Component(name=system[0], version=system[1], type=ComponentType.OPERATING_SYSTEM, bom_ref=":".join(system))
        )
    bom = Bom(components=components)
    bom.metadata.component = root
    if created := labels.get("org.opencontainers.image.created"):
        bom.metadata.timestamp = datetime.fromisoformat(created)
    bom.register_dependency(root, components)
    said = "\n".join(f"{package.kind} {package.name} {package.version}" for package in packages)
    bom.serial_number = uuid.UUID(bytes=hashlib.sha256(f"{image}\n{labels}\n{said}".encode()).digest()[:16], version=4)
    document: str = JsonV1Dot6(bom).output_as_string(indent=2)
    if error := JsonStrictValidator(SchemaVersion.V1_6).validate_str(document):
        raise DeliveryFailed(f"the document of {image} is not valid: {error}")
    return document


def list_licences(packages: Sequence[Package]) -> str:
    """List each package with what it says of its licences, a line each."""
    width = max((len(f"{package.name} {package.version}") for package in packages), default=0)
    lines = []
    for package in packages:
        named = f"{package.name} {package.version}"
        lines.append(f"{package.kind:<8}{named:<{width + 2}}{', '.join(package.licences) or _UNSTATED}\n")
    return "".join(lines)


def _component(package: Package, system: tuple[str, str]) -> Component:
    purl = _purl(package, system)
    return Component(
        name=package.name,
        version=package.version,
        type=ComponentType.APPLICATION if package.kind == "generic" else ComponentType.LIBRARY,
        bom_ref=str(purl),
        purl=purl,
        cpe=f"cpe:2.3:a:python:python:{package.version}:*:*:*:*:*:*:*" if package.kind == "generic" else None,
        licenses=_choices(package.licences),
        components=[*_bundled_components(package, str(purl)), *_library_components(package, str(purl))],
    )


def _choices(texts: Sequence[str]) -> list[License]:
    """One expression, or several licences of which each is an id or a name: the two do not go together."""
    if len(texts) == 1:
        return [_licences.make_from_string(texts[0])]
    return [_licences.make_with_id(text) if is_supported_id(text) else _licences.make_with_name(text) for text in texts]


def _purl(package: Package, system: tuple[str, str]) -> PackageURL:
    if package.kind != "deb":
        return PackageURL(package.kind, name=package.name, version=package.version)
    # By these a scanner finds what the distribution says of the package's source.
    qualifiers = {"arch": package.architecture, "distro": "-".join(system), "upstream": package.source}
    return PackageURL("deb", system[0], package.name, package.version, qualifiers)


def _bundled_components(package: Package, within: str) -> list[Component]:
    return [
        Component(
            name=described["name"],
            version=described.get("version"),
            type=ComponentType(described.get("type", "library")),
            purl=PackageURL.from_string(described["purl"]) if "purl" in described else None,
            bom_ref=f"{within}#{number}",
            licenses=_choices(_told(described)),
        )
        for number, described in enumerate(package.bundled)
    ]


def _told(described: dict[str, Any]) -> list[str]:
    """The licences of a component in another document: an expression, or ids and names."""
    told = [choice.get("expression") or _named(choice["license"]) for choice in described.get("licenses", ())]
    return told[:1] if any("expression" in choice for choice in described.get("licenses", ())) else told


def _named(licence: dict[str, str]) -> str:
    return licence.get("id") or licence["name"]


def _library_components(package: Package, within: str) -> list[Component]:
    return [
        Component(
            name=name,
            type=ComponentType.FILE,
            bom_ref=f"{within}#{name}",
            hashes=[HashType(alg=HashAlgorithm.SHA_256, content=digest)],
        )
        for name, digest in package.libraries
    ]
