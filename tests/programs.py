"""Programs that install what tests run: what they say, or why that cannot be had."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

_SHOWN_WORDS, _SHOWN_CHARACTERS = 5, 2000


def run_program(
    *command: str, folder: Path | None = None, patience_s: float, variables: Mapping[str, str] | None = None
) -> str:
    """
    Run a program to its end.

    Parameters
    ----------
    *command : str
    folder : pathlib.Path or None
        Where; None for here.
    patience_s : float
        How long it may take.
    variables : mapping of str to str or None
        Of the environment, beside those that are there.

    Returns
    -------
    str
        What it wrote to standard output.

    Raises
    ------
    OSError
        If it is not there, fails or takes longer; the text says which, and what it said last.
    """
    shown = " ".join(command[:_SHOWN_WORDS])
    environment = os.environ | (variables or {})
    try:
        ended = subprocess.run(
            command, cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=patience_s
        )
    except FileNotFoundError as error:
        raise FileNotFoundError(f"{shown}: {error}") from None
    except subprocess.TimeoutExpired:
        raise OSError(f"{shown} took more than {patience_s} s") from None
    if ended.returncode:
        raise OSError(f"{shown} failed: {(ended.stderr + ended.stdout)[-_SHOWN_CHARACTERS:]}")
    return ended.stdout
