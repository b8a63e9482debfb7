"""A booster that crashes XGBoost is refused in words, and the process that asked lives on."""

from __future__ import annotations

import random
import subprocess
import sys
from pathlib import Path

import pytest

from app.errors import ModelUnfit
from app.forest.probe import probe_booster
from tests.boosters import make_model


def damage(path: Path, seed: int) -> None:
    """Flip three bits of a file."""
    content = bytearray(path.read_bytes())
    chance = random.Random(seed)  # noqa: S311  the same damage every time
    for _ in range(3):
        content[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
    path.write_bytes(content)


def test_a_whole_booster_passes(tmp_path: Path) -> None:
    """Nothing is said of a file that can be read."""
    probe_booster(make_model().write(tmp_path / "model") / "model.ubj")


@pytest.mark.skipif(sys.platform != "linux", reason="other systems know no such policy")
def test_a_whole_booster_passes_in_the_gaps_that_others_leave(tmp_path: Path) -> None:
    """As every version is opened but the first; what takes the breaks must not be taken for a crash."""
    path = make_model().write(tmp_path / "model") / "model.ubj"
    asks = f"from pathlib import Path; from app.forest.probe import probe_booster; probe_booster(Path({str(path)!r}))"
    in_gaps = f"import os; os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0)); {asks}"
    ended = subprocess.run([sys.executable, "-c", in_gaps], capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stderr) == (0, "")


def test_an_ordinary_error_is_left_to_the_next(tmp_path: Path) -> None:
    """XGBoost's own message is worth more than that a process failed."""
    path = tmp_path / "model.ubj"
    path.write_bytes(b"{L")
    probe_booster(path)


def refusal_of(path: Path) -> str:
    """Why a booster is refused; nothing where it is not."""
    try:
        probe_booster(path)
    except ModelUnfit as refusal:
        return str(refusal)
    return ""


def test_a_booster_that_crashes_xgboost_is_refused(tmp_path: Path) -> None:
    """The signal is named, and what to do; seed by seed until a damage is found that does crash it."""
    for seed in range(40):
        path = make_model().write(tmp_path / str(seed)) / "model.ubj"
        damage(path, seed)
        if said := refusal_of(path):
            break
    assert "XGBoost crashes (SIG" in said
    assert "register the model version again" in said


def test_a_process_that_is_killed_says_nothing_of_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Linux does it where memory runs out, and XGBoost never does."""
    monkeypatch.setattr(
        "app.forest.probe.python_module", lambda _: [sys.executable, "-c", "import os; os.kill(os.getpid(), 9)"]
    )
    with pytest.raises(MemoryError, match=r"model\.ubj was killed, as Linux does where memory runs out"):
        probe_booster(tmp_path / "model.ubj")
