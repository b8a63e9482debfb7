"""The files of an image, read without running it."""

from __future__ import annotations

import posixpath
import subprocess
import tarfile
from collections.abc import Callable
from typing import IO

from delivery.engine import Engine
from delivery.errors import DeliveryFailed


def read_image(engine: Engine, image: str, wanted: Callable[[str], bool]) -> dict[str, bytes]:
    """
    Read some files of an image that is on this machine.

    Parameters
    ----------
    engine : Engine
    image : str
        Its name and tag.
    wanted : callable
        Whether a path, such as ``etc/os-release``, is read.

    Returns
    -------
    dict of str to bytes
        The files' contents by their paths; a link has what it leads to, if that is read.

    Raises
    ------
    DeliveryFailed
        If it cannot be read.
    """
    container = engine.run("create", "--no-healthcheck", image, stdout=subprocess.PIPE).strip()
    try:
        command = [engine.program, "export", container]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            files = read_archive(process.stdout, wanted)
        if process.returncode:
            raise DeliveryFailed(f"{engine.program} export ended with status {process.returncode}")
    except tarfile.TarError as error:
        raise DeliveryFailed(f"{image} cannot be read: {error}") from None
    finally:
        engine.run("rm", container, stdout=subprocess.DEVNULL)
    return files


def read_archive(archive: IO[bytes], wanted: Callable[[str], bool]) -> dict[str, bytes]:
    """Read some files of a tar archive, which comes as a stream."""
    files: dict[str, bytes] = {}
    links: dict[str, str] = {}
    with tarfile.open(fileobj=archive, mode="r|") as members:
        for member in members:
            path = member.name.removeprefix("./").removeprefix("/")
            if member.issym():
                links[path] = posixpath.normpath(posixpath.join(posixpath.dirname(path), member.linkname)).lstrip("/")
            elif member.islnk():
                links[path] = member.linkname.removeprefix("./").removeprefix("/")
            elif member.isreg() and wanted(path):
                content = members.extractfile(member)
                assert content is not None
                files[path] = content.read()
    return files | _follow(links, files)


def _follow(links: dict[str, str], files: dict[str, bytes]) -> dict[str, bytes]:
    """What is read through links: of files, and of the folders of Debian's documents, of which packages share some."""
    found = {link: files[target] for link, target in links.items() if target in files}
    for link, target in links.items():
        copyright_of = f"{target}/copyright"
        if copyright_of in files:
            found[f"{link}/copyright"] = files[copyright_of]
    return found
