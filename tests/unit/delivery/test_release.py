"""`make release`, in a repository of its own: what it writes, and that a refused one changes nothing."""

from __future__ import annotations

import re
import subprocess
from datetime import date
from pathlib import Path

import pytest

from app import __version__
from delivery.errors import DeliveryFailed
from delivery.release import REPEATED_IN, make_release, repeated
from tests.processes import PROJECT

TODAY = date(2026, 3, 1)
CHANGELOG = """# Changelog

## [Unreleased]

### Added

- A thing.

## [0.1.0] - 2025-01-01

- An older one.
"""
FILES = {
    "CHANGELOG.md": CHANGELOG,
    "app/__init__.py": '"""treeserve."""\n\n__version__ = "0.1.0"\n',
    "k8s/base/kustomization.yaml": """images:
  - name: treeserve
    newTag: 0.1.0
  - name: filebeat
    newTag: 0.1.0
""",
    "k8s/overlays/gpu/kustomization.yaml": """images:
  - name: treeserve
    newName: x/treeserve
    newTag: 0.1.0-gpu
""",
    "docker-compose.yml": """image: treeserve-training:0.1.0
image: treeserve:0.1.0
image: other:0.1.0
image: treeserve:0.1.0.5
""",
    "docs/kubernetes.md": "https://git.example.com/treeserve//k8s/base?ref=v0.1.0\n",
    "docs/benchmarks.md": "treeserve:0.1.0 was measured\n",
}


def git(folder: Path, *arguments: str) -> str:
    ended = subprocess.run(["git", "-C", str(folder), *arguments], capture_output=True, text=True, check=True)
    return ended.stdout


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository with one commit, and an author who has no settings of this machine's."""
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", "/dev/null")
    monkeypatch.setenv("GIT_CONFIG_SYSTEM", "/dev/null")
    for role in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{role}_NAME", "somebody")
        monkeypatch.setenv(f"GIT_{role}_EMAIL", "somebody@example.com")
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    git(tmp_path, "init", "--quiet")
    git(tmp_path, "add", "--all")
    git(tmp_path, "commit", "--quiet", "--message", "First")
    return tmp_path


def state(checkout: Path) -> tuple[str, str, str]:
    """All that a release would change."""
    return git(checkout, "rev-parse", "HEAD"), git(checkout, "status", "--porcelain"), git(checkout, "tag")


@pytest.mark.parametrize(
    ("wanted", "version"), [("0.1.1", "0.1.1"), ("patch", "0.1.1"), ("minor", "0.2.0"), ("major", "1.0.0")]
)
def test_a_release_is_one_commit_and_its_tag(checkout: Path, wanted: str, version: str) -> None:
    assert make_release(checkout, wanted, TODAY) == f"v{version}"
    assert git(checkout, "status", "--porcelain") == ""
    assert git(checkout, "log", "--format=%s", "-2") == f"Release {version}\nFirst\n"
    assert git(checkout, "rev-parse", f"v{version}^{{commit}}") == git(checkout, "rev-parse", "HEAD")
    assert f'__version__ = "{version}"\n' in (checkout / "app/__init__.py").read_text()


def test_the_changelog_has_the_date_and_room_for_what_comes_next(checkout: Path) -> None:
    make_release(checkout, "minor", TODAY)
    assert (checkout / "CHANGELOG.md").read_text() == CHANGELOG.replace(
        "## [Unreleased]\n", "## [Unreleased]\n\n## [0.2.0] - 2026-03-01\n"
    )


def test_the_tag_says_what_has_changed(checkout: Path) -> None:
    make_release(checkout, "minor", TODAY)
    assert git(checkout, "cat-file", "-t", "v0.2.0") == "tag\n"
    said = git(checkout, "for-each-ref", "refs/tags/v0.2.0", "--format=%(contents)")
    assert said.strip() == "treeserve 0.2.0\n\n### Added\n\n- A thing."


def test_what_repeats_the_version_follows_and_nothing_else_does(checkout: Path) -> None:
    make_release(checkout, "minor", TODAY)
    text = {name: (checkout / name).read_text() for name in FILES}
    tags = [line for line in text["k8s/base/kustomization.yaml"].splitlines() if "newTag" in line]
    assert tags == ["    newTag: 0.2.0", "    newTag: 0.1.0"]
    assert "newTag: 0.2.0-gpu" in text["k8s/overlays/gpu/kustomization.yaml"]
    assert text["docker-compose.yml"].splitlines() == [
        "image: treeserve-training:0.2.0",
        "image: treeserve:0.2.0",
        "image: other:0.1.0",
        "image: treeserve:0.1.0.5",
    ]
    assert text["docs/kubernetes.md"].endswith("?ref=v0.2.0\n")
    assert text["docs/benchmarks.md"] == FILES["docs/benchmarks.md"]


def test_the_first_release_may_have_the_version_that_is_there(checkout: Path) -> None:
    (checkout / "CHANGELOG.md").write_text(CHANGELOG.partition("## [0.1.0]")[0])
    git(checkout, "commit", "--quiet", "--all", "--message", "Nothing released")
    assert make_release(checkout, "0.1.0", TODAY) == "v0.1.0"


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        ("0.1.0", "not newer than 0.1.0"),
        ("0.0.9", "not newer than 0.1.0"),
        ("0.2", "neither a version"),
        ("v0.2.0", "neither a version"),
        ("0.02.0", "neither a version"),
        ("0.2.0-rc1", "neither a version"),
        ("", "neither a version"),
    ],
)
def test_a_version_that_is_none_or_not_newer_is_refused(checkout: Path, wanted: str, said: str) -> None:
    before = state(checkout)
    with pytest.raises(DeliveryFailed, match=said):
        make_release(checkout, wanted, TODAY)
    assert state(checkout) == before


def test_a_version_between_the_last_release_and_the_one_that_is_there_is_refused(checkout: Path) -> None:
    (checkout / "app/__init__.py").write_text('__version__ = "0.3.0"\n')
    git(checkout, "commit", "--quiet", "--all", "--message", "Ahead")
    with pytest.raises(DeliveryFailed, match=r"not newer than 0\.3\.0"):
        make_release(checkout, "0.2.0", TODAY)


@pytest.mark.parametrize("name", ["CHANGELOG.md", "unknown"])
def test_what_is_not_committed_is_not_released(checkout: Path, name: str) -> None:
    (checkout / name).write_text("changed")
    before = state(checkout)
    with pytest.raises(DeliveryFailed, match=name):
        make_release(checkout, "minor", TODAY)
    assert state(checkout) == before


@pytest.mark.parametrize(
    ("changelog", "said"),
    [
        (CHANGELOG.replace("- A thing.\n\n", ""), "says nothing"),  # with a heading still, and the last release's lines
        (CHANGELOG.replace("## [Unreleased]\n", ""), "has no heading"),
    ],
)
def test_a_release_of_nothing_is_refused(checkout: Path, changelog: str, said: str) -> None:
    (checkout / "CHANGELOG.md").write_text(changelog)
    git(checkout, "commit", "--quiet", "--all", "--message", "Nothing said")
    before = state(checkout)
    with pytest.raises(DeliveryFailed, match=said):
        make_release(checkout, "minor", TODAY)
    assert state(checkout) == before


def test_a_tag_that_is_there_is_not_moved(checkout: Path) -> None:
    git(checkout, "tag", "v0.2.0")
    before = state(checkout)
    with pytest.raises(DeliveryFailed, match=r"v0\.2\.0 is there already"):
        make_release(checkout, "minor", TODAY)
    assert state(checkout) == before


def test_a_commit_that_git_refuses_leaves_nothing(checkout: Path) -> None:
    hook = checkout / ".git" / "hooks" / "pre-commit"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\necho not today >&2\nexit 1\n")
    hook.chmod(0o755)
    before = state(checkout)
    with pytest.raises(DeliveryFailed, match="not today"):
        make_release(checkout, "minor", TODAY)
    assert state(checkout) == before


def test_a_tag_that_git_refuses_leaves_no_commit(checkout: Path) -> None:
    git(checkout, "config", "tag.gpgSign", "true")
    git(checkout, "config", "gpg.program", "false")
    before = state(checkout)
    with pytest.raises(DeliveryFailed, match="git tag failed"):
        make_release(checkout, "minor", TODAY)
    assert state(checkout) == before


def test_all_that_repeats_this_version_is_where_a_release_looks() -> None:
    """Or the next release would leave it behind; what was measured, decided or changed once keeps its version."""
    once = ("CHANGELOG.md", "docs/benchmarks.md", "docs/decisions/", "docs/reliability.md", "tests/")
    listed = git(PROJECT, "ls-files", "*.md", "*.yaml", "*.yml", "*.toml", "Dockerfile", "Makefile").splitlines()
    left = [
        name
        for name in listed
        if not name.startswith((*once, *REPEATED_IN))
        and (PROJECT / name).is_file()
        and repeated(__version__).search((PROJECT / name).read_text(encoding="utf-8"))
    ]
    assert left == []


def test_make_release_asks_which() -> None:
    ended = subprocess.run(
        ["make", "--no-print-directory", "release"], cwd=PROJECT, capture_output=True, text=True, check=False
    )
    assert (ended.returncode, ended.stdout) == (2, "")
    assert re.search(r"which\? make release VERSION=", ended.stderr)
