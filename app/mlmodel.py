"""
`MLmodel`, the file that describes a model folder, read as data and nothing else.

MLflow's own loaders follow any path that stands in it and run code from the folder; here it
may only name plain files inside the folder, and no code of it is ever imported.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from app.errors import ModelUnfit

_MAX_BYTES = 4 * 1024 * 1024  # 5,000 features with long names take less than 1 MiB


@dataclass(frozen=True)
class ModelFolder:
    """
    What a model folder holds, by place.

    Attributes
    ----------
    path, booster : pathlib.Path
    is_scikit_learn_wrapper : bool
        Whether it was an `XGBClassifier` or the like that was logged, not a `Booster`.
    inputs : tuple of mapping, or None
        MLflow's column specs; None where the model has no signature with named columns.
    input_example : mapping of feature name to value, or None
        The first row of MLflow's input example.
    run_id : str or None
        MLflow's training run.
    """

    path: Path
    booster: Path
    is_scikit_learn_wrapper: bool
    inputs: tuple[Mapping[str, Any], ...] | None
    input_example: Mapping[str, Any] | None
    run_id: str | None

    def extra_file(self, name: str) -> Path:
        """Where MLflow puts one of a model version's extra files."""
        return _inside(self.path, Path("extra_files", name))


def read_model_folder(path: Path) -> ModelFolder:
    """
    Read a folder that MLflow wrote.

    Raises
    ------
    ModelUnfit
        If there is no `MLmodel`, it is not valid, the model is not XGBoost's, or a file stands outside.
    """
    document = _read_yaml(path / "MLmodel")
    flavors = _mapping(document.get("flavors"), "flavors")
    if "xgboost" not in flavors:
        raise ModelUnfit(
            f"the model's flavors are {sorted(map(str, flavors))}, and only 'xgboost' is served, in XGBoost's own "
            'format and never from a pickle; log it with mlflow.xgboost.log_model(..., model_format="ubj")'
        )
    flavor = _mapping(flavors["xgboost"], "flavors.xgboost")
    model_class = str(flavor.get("model_class", "xgboost.core.Booster"))
    return ModelFolder(
        path=path,
        booster=_inside(path, _plain_name(flavor.get("data"))),
        is_scikit_learn_wrapper=model_class.startswith(("xgboost.sklearn.", "xgboost.dask.")),
        inputs=_read_inputs(document.get("signature")),
        input_example=_read_input_example(path, document.get("saved_input_example_info")),
        run_id=_text(document.get("run_id")),
    )


def _read_yaml(path: Path) -> Mapping[str, Any]:
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise ModelUnfit(f"MLmodel is larger than {_MAX_BYTES} bytes")
        document = yaml.load(path.read_bytes(), Loader=_Loader)  # noqa: S506  a SafeLoader, made stricter
    except FileNotFoundError:
        raise ModelUnfit(f"{path.parent} holds no MLmodel file: it is not a model that MLflow logged") from None
    except OSError as error:
        raise ModelUnfit(f"{path} cannot be read: {error.strerror}") from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:  # a ValueError is a date such as 2024-13-45
        raise ModelUnfit(f"MLmodel is not valid YAML: {str(error).splitlines()[0]}") from None
    return _mapping(document, "MLmodel")


class _Loader(yaml.SafeLoader):
    """YAML without aliases, with which a small file can grow without bound."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            raise yaml.YAMLError("aliases are not allowed in it")
        return super().compose_node(parent, index)


def _read_inputs(signature: object) -> tuple[Mapping[str, Any], ...] | None:
    if signature is None:
        return None
    try:
        columns = json.loads(_mapping(signature, "signature")["inputs"])
        # An array was logged: one tensor, and no names to hold on to.
        if any(column.get("type") == "tensor" for column in columns):
            return None
        return tuple(_mapping(column, "signature.inputs") for column in columns)
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError):
        raise ModelUnfit("the signature in MLmodel is not one that MLflow writes") from None


def _read_input_example(path: Path, info: object) -> Mapping[str, Any] | None:
    """First row of MLflow's example; None where there is none or it is not a table."""
    if info is None:
        return None
    about = _mapping(info, "saved_input_example_info")
    if about.get("type") != "dataframe" or about.get("pandas_orient") != "split":
        return None
    place = _inside(path, _plain_name(about.get("artifact_path")))
    try:
        table = json.loads(place.read_bytes())
        return dict(zip(table["columns"], table["data"][0], strict=True))
    except (OSError, KeyError, TypeError, ValueError, IndexError, RecursionError):
        raise ModelUnfit(f"the input example {place.name} is not a table that MLflow wrote") from None


def _plain_name(name: object) -> Path:
    if not isinstance(name, str) or not name or Path(name).name != name or name in {".", ".."} or "\0" in name:
        raise ModelUnfit(f"MLmodel names the file {name!r}; only a plain file name in the model's folder is accepted")
    return Path(name)


def _inside(folder: Path, name: Path) -> Path:
    place = folder / name
    try:
        is_inside = place.resolve().is_relative_to(folder.resolve())
    except (RuntimeError, ValueError) as error:  # a link to itself, a character that no file name has
        raise ModelUnfit(f"{name} of the model cannot be a file: {error}") from None
    if not is_inside:
        raise ModelUnfit(f"{name} of the model points outside its folder")
    return place


def _mapping(value: object, place: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise ModelUnfit(f"{place} is not a mapping, as MLflow writes it")
    return value


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None
