"""One process at a time, and none for ever."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from model.errors import TrainingError
from model.tuning.lock import alone

_HOLD = "from model.tuning.lock import alone\nwith alone({name!r}):\n print(flush=True); input()"


def test_a_second_process_is_told(tmp_path: Path) -> None:
    """And one that was killed holds nothing any more."""
    name = f"test-{tmp_path.parent.name}-{tmp_path.name}"
    command = [sys.executable, "-c", _HOLD.format(name=name)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        with pytest.raises(TrainingError, match="runs already"), alone(name):
            pass
        holder.kill()
    with alone(name):
        pass
