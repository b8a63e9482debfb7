"""Makes a release of what is checked out: `make release`."""

from __future__ import annotations

import re
from datetime import date
from pathlib import Path

from delivery.errors import DeliveryFailed
from delivery.git import git

HOME = "app/__init__.py"  # the version's
CHANGELOG = "CHANGELOG.md"
# Where the version is said again: tags of the project's images, and the tag of its commits.
REPEATED_IN = ("README.md", "docker-compose.yml", "docs/images.md", "docs/kubernetes.md", "docs/operations.md", "k8s")
_PARTS = ("major", "minor", "patch")
_VERSION = re.compile(r"(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)")
_HELD = re.compile(r'(?<=^__version__ = ")[^"]+(?="$)', re.MULTILINE)
_UNRELEASED = "## [Unreleased]\n"
_RELEASED = re.compile(r"^## \[(\d+\.\d+\.\d+)\]", re.MULTILINE)


def make_release(root: Path, wanted: str, today: date) -> str:
    """
    Write the version and the changelog, commit both and tag the commit.

    All or nothing; and nothing leaves this machine.

    Parameters
    ----------
    root : pathlib.Path
        A checkout without changes.
    wanted : str
        The version, such as ``1.2.0``, or the part of the present one that grows: ``major``, ``minor`` or ``patch``.
    today : datetime.date
        When that is.

    Returns
    -------
    str
        The tag.

    Raises
    ------
    DeliveryFailed
        If it cannot be one; nothing has changed then.
    """
    if changes := git(root, "status", "--porcelain"):
        raise DeliveryFailed(f"a release is of what is committed, and this is not:\n{changes}")
    changelog = (root / CHANGELOG).read_text(encoding="utf-8")
    held = _find_version(root)
    version = _choose(wanted, held, _RELEASED.findall(changelog)[:1])
    tag = f"v{version}"
    if git(root, "tag", "--list", tag):
        raise DeliveryFailed(f"{tag} is there already")
    notes = _unreleased(changelog)

    before = git(root, "rev-parse", "HEAD")
    try:
        dated = f"{_UNRELEASED}\n## [{version}] - {today.isoformat()}\n"
        (root / CHANGELOG).write_text(changelog.replace(_UNRELEASED, dated, 1), encoding="utf-8")
        _write_version(root, held, version)
        git(root, "commit", "--quiet", "--all", "--message", f"Release {version}")
        # Of itself git takes headings for comments.
        git(root, "tag", "--annotate", tag, "--cleanup=whitespace", "--message", f"treeserve {version}\n\n{notes}")
    except BaseException:
        git(root, "reset", "--quiet", "--hard", before)
        raise
    return tag


def repeated(version: str) -> re.Pattern[str]:
    """Where files of `REPEATED_IN` say a version that is the project's own, and nobody else's of the same number."""
    said_after = (r"\btreeserve[\w-]*:", r"\bname: treeserve[\w-]*\n(?: +newName: .*\n)? +newTag: ", r"\?ref=v")
    return re.compile(rf"({'|'.join(said_after)}){re.escape(version)}(?![\d.]*\d)")


def _find_version(root: Path) -> str:
    found = _HELD.search((root / HOME).read_text(encoding="utf-8"))
    if not found:
        raise DeliveryFailed(f"{HOME} has no version")
    return found[0]


def _choose(wanted: str, held: str, released: list[str]) -> str:
    """Refuse what is no version or not newer; the first release may be of the version that is held already."""
    major, minor, patch = _numbers(held)
    grown = dict(zip(_PARTS, ((major + 1, 0, 0), (major, minor + 1, 0), (major, minor, patch + 1)), strict=True))
    if wanted not in grown and not _VERSION.fullmatch(wanted):
        raise DeliveryFailed(f"{wanted!r} is neither a version, such as 1.2.0, nor one of {', '.join(_PARTS)}")
    numbers = grown.get(wanted) or _numbers(wanted)
    if numbers < _numbers(held) or any(numbers <= _numbers(last) for last in released):
        raise DeliveryFailed(f"{'.'.join(map(str, numbers))} is not newer than {held}")
    return ".".join(map(str, numbers))


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(number) for number in version.split("."))


def _unreleased(changelog: str) -> str:
    """What the changelog says of the release."""
    _, heading, after = changelog.partition(_UNRELEASED)
    if not heading:
        raise DeliveryFailed(f"{CHANGELOG} has no heading {_UNRELEASED.strip()!r}")
    notes = re.split(r"^## ", after, maxsplit=1, flags=re.MULTILINE)[0].strip()
    if not re.search(r"^- ", notes, re.MULTILINE):
        raise DeliveryFailed(f"{CHANGELOG} says nothing of what has changed: under {_UNRELEASED.strip()!r} is no line")
    return notes


def _write_version(root: Path, held: str, version: str) -> None:
    home = root / HOME
    home.write_text(_HELD.sub(version, home.read_text(encoding="utf-8")), encoding="utf-8")
    for name in git(root, "ls-files", "--", *REPEATED_IN).splitlines():
        path = root / name
        text = path.read_text(encoding="utf-8")
        if (written := repeated(held).sub(rf"\g<1>{version}", text)) != text:
            path.write_text(written, encoding="utf-8")
