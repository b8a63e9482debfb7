"""`MLmodel` is read as data: it names plain files in its folder, and nothing of it runs."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
import yaml

from app.errors import ModelUnfit
from app.mlmodel import ModelFolder, read_model_folder

INPUTS = [{"name": "hour", "type": "long", "required": True}]


def document(**changes: Any) -> dict[str, Any]:
    """What MLflow writes, with top-level changes."""
    flavors = {"xgboost": {"data": "model.ubj", "model_class": "xgboost.core.Booster", "code": None}}
    return {"flavors": flavors, "run_id": "f" * 32, "signature": {"inputs": json.dumps(INPUTS)}} | changes


def flavor(**changes: Any) -> dict[str, Any]:
    """The document with a changed xgboost flavor."""
    return document(flavors={"xgboost": {"data": "model.ubj"} | changes})


def example(**changes: Any) -> dict[str, Any]:
    """The document with an input example."""
    info = {"artifact_path": "input_example.json", "type": "dataframe", "pandas_orient": "split"}
    return document(saved_input_example_info=info | changes)


def read(folder: Path, content: dict[str, Any] | str | bytes) -> ModelFolder:
    """Write `MLmodel` and read the folder."""
    text = yaml.safe_dump(content) if isinstance(content, dict) else content
    (folder / "MLmodel").write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_model_folder(folder)


def refusal(folder: Path, content: dict[str, Any] | str | bytes) -> str:
    """Why it is refused."""
    with pytest.raises(ModelUnfit) as caught:
        read(folder, content)
    return str(caught.value)


def test_a_folder_is_read_as_mlflow_writes_it(tmp_path: Path) -> None:
    """Booster, signature and run are found by MLflow's own names."""
    folder = read(tmp_path, document())
    assert folder.booster == tmp_path / "model.ubj"
    assert folder.inputs == tuple(INPUTS)
    assert folder.run_id == "f" * 32
    assert folder.input_example is None
    assert folder.extra_file("card.json") == tmp_path / "extra_files" / "card.json"


@pytest.mark.parametrize(
    ("model_class", "is_wrapper"),
    [
        ("xgboost.core.Booster", False),
        ("xgboost.sklearn.XGBClassifier", True),
        ("xgboost.sklearn.XGBRegressor", True),
        ("xgboost.dask.DaskXGBClassifier", True),
    ],
)
def test_a_scikit_learn_wrapper_is_known_by_its_class(tmp_path: Path, model_class: str, is_wrapper: bool) -> None:
    """A wrapper stops at the best iteration, a plain booster does not."""
    assert read(tmp_path, flavor(model_class=model_class)).is_scikit_learn_wrapper is is_wrapper


def test_an_old_flavor_without_a_class_is_a_plain_booster(tmp_path: Path) -> None:
    """MLflow 1 wrote no class."""
    assert read(tmp_path, flavor()).is_scikit_learn_wrapper is False


@pytest.mark.parametrize(
    "data",
    [
        "../model.ubj",
        "/etc/passwd",
        "sub/model.ubj",
        ".",
        "..",
        "",
        "model.ubj/",
        "./model.ubj",
        "a\0b",
        None,
        7,
        ["a"],
    ],
    ids=repr,
)
def test_a_booster_is_a_plain_file_name_or_the_model_is_refused(tmp_path: Path, data: Any) -> None:
    """MLflow follows such paths out of the folder; here they are refused before anything is opened."""
    text = refusal(tmp_path, flavor(data=data))
    assert repr(data) in text
    assert "only a plain file name in the model's folder is accepted" in text


@pytest.mark.parametrize("target", ["/etc/passwd", "../outside.ubj"])
def test_a_link_that_leaves_the_folder_is_refused(tmp_path: Path, target: str) -> None:
    """A plain name may still be a symbolic link to anywhere."""
    folder = tmp_path / "model"
    folder.mkdir()
    (tmp_path / "outside.ubj").write_bytes(b"{}")
    (folder / "model.ubj").symlink_to(target)
    assert refusal(folder, document()) == "model.ubj of the model points outside its folder"


def test_a_link_to_itself_is_refused(tmp_path: Path) -> None:
    """A loop of links ends in a refusal, not in a crash."""
    (tmp_path / "model.ubj").symlink_to("model.ubj")
    assert "model.ubj" in refusal(tmp_path, document())


def test_a_link_inside_the_folder_is_followed(tmp_path: Path) -> None:
    """Some artifact stores link files to where they keep them, inside the folder."""
    (tmp_path / "kept.ubj").write_bytes(b"{}")
    (tmp_path / "model.ubj").symlink_to("kept.ubj")
    assert read(tmp_path, document()).booster == tmp_path / "model.ubj"


def test_extra_files_outside_the_folder_are_refused(tmp_path: Path) -> None:
    """The same holds for the files beside the booster."""
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "extra_files").symlink_to(tmp_path)
    with pytest.raises(ModelUnfit, match="points outside its folder"):
        read(folder, document()).extra_file("card.json")


def test_a_folder_that_is_itself_a_link_is_read(tmp_path: Path) -> None:
    """Kubernetes mounts volumes through links."""
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    assert read(tmp_path / "link", document()).booster == tmp_path / "link" / "model.ubj"


def test_a_model_without_xgboosts_own_format_is_refused_with_the_way_out(tmp_path: Path) -> None:
    """A pickled pyfunc or scikit-learn model is named for what it is."""
    text = refusal(tmp_path, document(flavors={"sklearn": {}, "python_function": {}}))
    assert "['python_function', 'sklearn']" in text
    assert 'mlflow.xgboost.log_model(..., model_format="ubj")' in text


@pytest.mark.parametrize(
    "content",
    [
        "a: &x [1]\nb: *x\n",
        "a: [\n",
        "!!python/object/apply:os.system ['true']\n",
        "when: 2024-13-45\n",
        "? [a]\n: b\n",
        b"\xff\xfe\xfa",
        b"a: \x01",
        "[" * 5000,
        "",
        "text",
        "- list\n",
        "{}",
        "flavors: []",
        "flavors: {xgboost: text}",
    ],
    ids=lambda content: repr(content[:24]),
)
def test_what_is_not_mlflows_yaml_is_refused(tmp_path: Path, content: str | bytes) -> None:
    """Aliases, tags that run code, broken and foreign documents all end in the same refusal."""
    assert refusal(tmp_path, content)


def test_aliases_are_refused_before_they_grow(tmp_path: Path) -> None:
    """A billion laughs in a few lines never become a billion."""
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 12)]
    assert "aliases are not allowed" in refusal(tmp_path, "\n".join(lines))


def test_a_file_of_megabytes_is_refused_unread(tmp_path: Path) -> None:
    """YAML is slow: a hostile file must not hold a start up for minutes."""
    with (tmp_path / "MLmodel").open("wb") as file:
        os.truncate(file.fileno(), 5 * 1024 * 1024)
    with pytest.raises(ModelUnfit, match="larger than"):
        read_model_folder(tmp_path)


@pytest.mark.parametrize("kind", ["nothing", "a file", "a folder"])
def test_where_no_mlmodel_can_be_read_the_model_is_refused(tmp_path: Path, kind: str) -> None:
    """The folder is missing its first file, is no folder, or has a folder in the file's place."""
    folder = tmp_path / "model"
    if kind == "a file":
        folder.write_text("x")
    elif kind == "a folder":
        (folder / "MLmodel").mkdir(parents=True)
    with pytest.raises(ModelUnfit, match="MLmodel"):
        read_model_folder(folder)


def test_without_a_signature_there_are_no_inputs(tmp_path: Path) -> None:
    """A model logged without one is served by the booster's own names."""
    assert read(tmp_path, document(signature=None)).inputs is None


def test_a_tensor_signature_names_no_features(tmp_path: Path) -> None:
    """An array was logged, and its one tensor is no column."""
    tensor = json.dumps([{"type": "tensor", "tensor-spec": {"dtype": "float64", "shape": [-1, 4]}}])
    assert read(tmp_path, document(signature={"inputs": tensor})).inputs is None


@pytest.mark.parametrize(
    "signature",
    [
        [],
        "text",
        {},
        {"inputs": None},
        {"inputs": "{"},
        {"inputs": "7"},
        {"inputs": "[7]"},
        {"inputs": "[[]]"},
        {"inputs": "[" * 100000},
    ],
    ids=lambda signature: str(signature)[:24],
)
def test_a_signature_that_mlflow_never_writes_is_refused(tmp_path: Path, signature: Any) -> None:
    """Half a signature would be worse than none."""
    assert "signature" in refusal(tmp_path, document(signature=signature))


def test_the_first_row_of_the_input_example_is_read(tmp_path: Path) -> None:
    """It becomes the example that a caller can paste."""
    table = {"columns": ["hour", "temp"], "data": [[17, None], [1, 2.0]]}
    (tmp_path / "input_example.json").write_text(json.dumps(table))
    assert read(tmp_path, example()).input_example == {"hour": 17, "temp": None}


@pytest.mark.parametrize("change", [{"type": "ndarray"}, {"pandas_orient": "records"}])
def test_an_example_that_is_no_table_is_left_alone(tmp_path: Path, change: dict[str, str]) -> None:
    """An array has no names to show."""
    assert read(tmp_path, example(**change)).input_example is None


@pytest.mark.parametrize(
    "content",
    [None, "", "{}", "[]", "7", '{"columns": ["a"], "data": []}', '{"columns": ["a"], "data": [[1, 2]]}'],
    ids=str,
)
def test_an_example_that_mlflow_never_writes_is_refused(tmp_path: Path, content: str | None) -> None:
    """A file that is missing or cut says that the folder is not whole."""
    if content is not None:
        (tmp_path / "input_example.json").write_text(content)
    assert "input_example.json" in refusal(tmp_path, example())


def test_an_example_outside_the_folder_is_refused(tmp_path: Path) -> None:
    """`GET /model` shows the example, so it must not be able to name another file."""
    assert "'../secret.json'" in refusal(tmp_path, example(artifact_path="../secret.json"))


@pytest.mark.parametrize("run_id", [None, 7, []])
def test_a_run_id_that_is_no_text_is_none(tmp_path: Path, run_id: Any) -> None:
    """A model saved outside a run has none."""
    assert read(tmp_path, document(run_id=run_id)).run_id is None
