"""What is one's own about a model; everything else in `model/` is the same for all of them: docs/training.md."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Literal

import pandas as pd

from model.datasets.dataset import Dataset, FeatureColumn
from model.errors import ParameterInvalid
from model.expectations import Expectation
from model.names import PROJECT
from model.progress import Progress
from model.training.task import Task


@dataclass(frozen=True)
class ModelDescription:
    """
    What is said of a model that its numbers do not say.

    Attributes
    ----------
    prediction : str
        What one prediction means, in a sentence.
    unknown_category : {"reject", "missing"}
        What the service does with one unless its operator decides otherwise.
    features : sequence of FeatureColumn
        In the booster's order.
    """

    prediction: str
    unknown_category: Literal["reject", "missing"]
    features: Sequence[FeatureColumn]


class Project(ABC):
    """
    A question, and the data that answers it.

    Attributes
    ----------
    task : Task
        What kind of prediction it is, and so how it is learnt and measured.
    description : ModelDescription
    time_zone : str
        In whose midnights and months the data is told.
    slices : tuple of str
        Features, each of whose values is looked at by itself before a model version takes another's place.
    expectations : tuple of Expectation
        What any good model's predictions are like.
    known_later : frozenset of str
        What the data has and is known only with the outcome, or after it: no feature may be called so.
    """

    task: Task
    description: ModelDescription
    time_zone: str
    slices: tuple[str, ...] = ()
    expectations: tuple[Expectation, ...] = ()
    known_later: frozenset[str] = frozenset()

    @abstractmethod
    def name_source(self, folder: Path | None) -> str:
        """
        Say where data comes from, as a model's card does.

        Parameters
        ----------
        folder : pathlib.Path or None
            With files such as `fetch` writes; None is where they are published.
        """

    @abstractmethod
    def fetch(self, folder: Path, until: str) -> list[str]:
        """
        Write what has arrived until a month into an empty or missing folder; the months, such as ``2013-12``.

        Raises
        ------
        DataInvalid
            If there is nothing of that month.
        """

    @abstractmethod
    def count(self, folder: Path) -> pd.DataFrame:
        """
        Check every value of what was fetched; say what there is of each month.

        Returns
        -------
        pandas.DataFrame
            ``month`` and ``rows``, and whatever else of a month is worth a look.

        Raises
        ------
        DataInvalid
            At the first thing that is wrong, with file, column and row.
        """

    @abstractmethod
    def read(self, folder: Path | None, until: str, progress: Progress) -> Dataset:
        """
        Check the data and make instances of it, with outcomes, in the order of their moments.

        Parameters
        ----------
        folder : pathlib.Path or None
            As in `name_source`.
        until : str
            The last month whose rows may be used, also for an outcome that lies ahead of its instance. Instances of
            later moments are cut off by whoever calls.
        progress : Progress

        Raises
        ------
        DataInvalid
        """


def load_project() -> Project:
    """
    Import the one that `model/names.py` names.

    Raises
    ------
    ParameterInvalid
        If there is none.
    """
    module = f"model.{PROJECT}.project"
    try:
        project: Project = import_module(module).PROJECT
    except ModuleNotFoundError as error:
        if error.name is None or not f"{module}.".startswith(f"{error.name}."):
            raise
        raise ParameterInvalid(
            f"model/names.py says that the project is {PROJECT!r}, and there is no model/{PROJECT}/project.py"
        ) from None
    except AttributeError:
        raise ParameterInvalid(f"model/{PROJECT}/project.py does not end with `PROJECT = …`") from None
    return project
