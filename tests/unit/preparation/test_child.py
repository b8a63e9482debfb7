"""The process that prepares a model version says what came of it, however it ends."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from app.errors import ModelError, ModelNotFound, ModelUnfit
from app.model_version import ModelVersion
from app.preparation import child
from app.preparation.child import Preparation
from app.preparation.file import read_prepared
from app.processes import starved_s
from app.registry.registry import MlflowRegistry
from tests.services import wait


@pytest.fixture
def preparation(tmp_path: Path) -> Preparation:
    """Of a registry that is not asked, for folders are read where they are."""
    cache = tmp_path / "cache"
    return Preparation(MlflowRegistry("http://user:secret@127.0.0.1:9", cache), cache)


@pytest.fixture
def local(model_folder: Path, tmp_path: Path) -> ModelVersion:
    """A copy of the model's folder, as its path names it."""
    folder = shutil.copytree(model_folder, tmp_path / "model")
    return ModelVersion("model", "abc", None, None, str(folder), is_immutable=False)


def test_a_model_is_prepared_by_a_process_that_ends(
    preparation: Preparation, local: ModelVersion, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it made is found the second time, without another process."""
    prepared = preparation(local)
    assert read_prepared(prepared).version.version == "abc"

    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("a process was started")

    monkeypatch.setattr(child, "_run", refuse)
    assert preparation(local) == prepared
    prepared.file.write_bytes(b"damaged")
    with pytest.raises(AssertionError):
        preparation(local)


def test_why_it_must_not_serve_is_told_as_it_is(preparation: Preparation, local: ModelVersion) -> None:
    """With the error's own kind and text."""
    (Path(local.source) / "extra_files" / "golden.json").write_text("{}")
    with pytest.raises(ModelUnfit, match=r"golden\.json of the model is not valid"):
        preparation(local)
    with pytest.raises(ModelNotFound, match="are not at"):
        preparation(ModelVersion("x", "1", None, None, "/no/such/folder", is_immutable=True))


def test_a_folder_of_its_own_stands_in_for_a_cache_folder_that_keeps_nothing(
    local: ModelVersion, tmp_path: Path
) -> None:
    """And is gone with the service."""
    (tmp_path / "cache").touch()
    preparation = Preparation(MlflowRegistry("http://x", tmp_path / "cache"), tmp_path / "cache")
    spare = preparation(local).file.parent
    assert spare.name.startswith("treeserve-")
    del preparation
    assert not spare.exists()


@pytest.mark.parametrize(
    ("ended", "told"),
    [((-9, "", ""), "status -9: no message; if it was killed"), ((1, "?", "a\nlast"), "status 1: last")],
)
def test_a_process_that_dies_is_a_failure_with_its_last_words(
    preparation: Preparation,
    local: ModelVersion,
    monkeypatch: pytest.MonkeyPatch,
    ended: tuple[int, str, str],
    told: str,
) -> None:
    """Killed for its memory, say."""
    monkeypatch.setattr(child, "_run", lambda *_, **__: ended)
    with pytest.raises(ModelError, match=told):
        preparation(local)


def test_a_process_that_does_not_end_is_given_up(
    preparation: Preparation, local: ModelVersion, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A model that takes for ever to verify must not keep others from being looked at."""
    monkeypatch.setattr("app.preparation.child._TIMEOUT_S", 0.05)
    with pytest.raises(ModelUnfit, match="was not verified within 0 s"):
        preparation(local)


def test_no_password_is_among_its_arguments(
    preparation: Preparation, local: ModelVersion, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Everybody on the machine can read those."""
    commands: list[Any] = []
    popen = subprocess.Popen

    def note(command: list[str], **options: Any) -> Any:
        commands.append(command)
        return popen(command, **options)

    monkeypatch.setattr(subprocess, "Popen", note)
    preparation(local)
    assert len(commands) == 1
    assert "secret" not in str(commands)


def test_what_it_warns_of_stands_in_the_log(
    preparation: Preparation, local: ModelVersion, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """With no password; and of a good model there is nothing to tell."""
    prepared = preparation(local)
    assert caplog.messages == []
    answer = json.dumps(prepared.to_json())
    told = "an old format\n", "slow: http://user:secret@store/x\n"
    monkeypatch.setattr(child, "_run", lambda *_, **__: (0, f"{told[0]}{answer}\n", told[1]))
    prepared.file.unlink()
    assert preparation(local) == prepared
    assert caplog.messages == [f"while {local} was made ready: an old format\nslow: http://store/x"]


@pytest.mark.skipif(sys.platform != "linux", reason="other systems choose otherwise")
def test_it_is_killed_before_what_serves(
    preparation: Preparation, local: ModelVersion, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where memory runs out; and is so before it is asked for anything, so that there is no moment when it is not."""
    scores: list[str] = []
    communicate = subprocess.Popen.communicate

    def look(process: subprocess.Popen[str], *arguments: Any, **options: Any) -> Any:
        scores.append(Path(f"/proc/{process.pid}/oom_score_adj").read_text().strip())
        return communicate(process, *arguments, **options)

    monkeypatch.setattr(subprocess.Popen, "communicate", look)
    preparation(local)
    assert set(scores) == {"1000"}
    assert Path("/proc/self/oom_score_adj").read_text().strip() != "1000"


def test_where_nobody_may_say_what_is_killed_first_nothing_is_said(
    preparation: Preparation, local: ModelVersion, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A /proc that is only read is no reason not to serve, and nothing that anybody could mend."""
    write = Path.write_text

    def refuse(path: Path, *arguments: Any, **options: Any) -> int:
        if path.name == "oom_score_adj":
            raise PermissionError
        return write(path, *arguments, **options)

    monkeypatch.setattr(Path, "write_text", refuse)
    assert preparation(local).version == local
    assert caplog.messages == []


@pytest.mark.skipif(sys.platform != "linux", reason="other systems know no such policy")
def test_only_the_first_is_prepared_as_quickly_as_can_be(
    preparation: Preparation, local: ModelVersion, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From then on somebody serves, and must not notice."""
    policies: list[int] = []
    communicate = subprocess.Popen.communicate

    def look(process: subprocess.Popen[str], *arguments: Any, **options: Any) -> Any:
        policies.append(os.sched_getscheduler(process.pid))
        return communicate(process, *arguments, **options)

    monkeypatch.setattr(subprocess.Popen, "communicate", look)
    first = preparation(local)
    first.file.unlink()
    assert preparation(local) == first
    assert list(dict.fromkeys(policies)) == [os.SCHED_OTHER, os.SCHED_IDLE]


@pytest.mark.skipif(sys.platform != "linux", reason="other systems know no such policy")
def test_one_that_finds_no_gaps_gets_a_share(
    preparation: Preparation, local: ModelVersion, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a machine that is busy for hours a promotion has to arrive all the same."""
    first = preparation(local)
    first.file.unlink()
    begun: list[tuple[int, int]] = []
    popen = subprocess.Popen

    class Seen(popen):  # type: ignore[misc,valid-type]
        def communicate(self, *arguments: Any, **options: Any) -> Any:
            begun.append((os.sched_getscheduler(self.pid), os.getpriority(os.PRIO_PROCESS, self.pid)))
            return super().communicate(*arguments, **options)

    monkeypatch.setattr(subprocess, "Popen", Seen)
    monkeypatch.setattr(child, "_LOOK_EVERY_S", 0.01)
    monkeypatch.setattr(child, "starved_s", lambda _: 11.0)
    assert preparation(local) == first
    own = os.getpriority(os.PRIO_PROCESS, 0)
    assert begun[0] == (os.SCHED_IDLE, own)
    assert begun[-1] == (os.SCHED_OTHER, max(own, 10))


@pytest.mark.skipif(not Path("/proc/self/schedstat").exists(), reason="this system does not say it")
def test_how_long_a_process_has_waited_is_known() -> None:
    """Of one that shares a core with others, that is some time; of one that is gone, none."""
    command = [sys.executable, "-c", "while True: pass"]
    core = min(os.sched_getaffinity(0))
    busy = [subprocess.Popen(command) for _ in range(2)]
    try:
        for process in busy:
            os.sched_setaffinity(process.pid, {core})
        for _ in wait():
            if starved_s(busy[0].pid) > 0.05:
                break
    finally:
        for process in busy:
            process.kill()
            process.wait()
    assert starved_s(busy[0].pid) == 0
