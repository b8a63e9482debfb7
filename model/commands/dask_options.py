"""What a Dask cluster can help with: its options, which are read without importing Dask, and the way to it."""

from __future__ import annotations

from argparse import ArgumentParser
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING

from model.errors import ClusterUnusable
from model.progress import Progress

if TYPE_CHECKING:
    from model.distributed.cluster import Cluster


def add_score_options(parser: ArgumentParser) -> None:
    """Add those of ``python -m model score`` to its parser."""
    parser.add_argument("model_uri", metavar="MODEL_URI", help="which model version, such as models:/name@champion")
    parser.add_argument("input", type=Path, metavar="INPUT", help="a folder of Parquet files, or one such file")
    parser.add_argument(
        "output", type=Path, metavar="OUTPUT", help="the folder for as many files of the same names, with predictions"
    )
    add_dask_option(parser, "let the workers of this Dask cluster answer; all of them see both folders")


def add_dask_option(parser: ArgumentParser, meaning: str) -> None:
    """Add the option that names a cluster."""
    parser.add_argument("--dask", metavar="ADDRESS", help=f"{meaning}; the scheduler's, such as tcp://10.0.0.1:8786")


def open_cluster(address: str, progress: Progress) -> AbstractContextManager[Cluster]:
    """
    Go to a cluster.

    Raises
    ------
    ClusterUnusable
        If Dask is not installed, or nobody answers there.
    """
    try:
        from model.distributed.cluster import connect
    except ModuleNotFoundError as error:
        raise ClusterUnusable(f"{error}; requirements/install.sh dask installs what a cluster needs") from None
    return connect(address, progress)
