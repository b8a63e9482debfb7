"""Imports lead downwards only, over all of `app/` and `model/`: read from the sources, so that nothing escapes."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

# Each module of `app/`, or each package of it, by the floor it stands on: the table that readers see.
FLOORS = {
    int(floor): set(re.findall(r"`(\w+)`", names))
    for floor, names in re.findall(
        r"^\| (\d+) \| ([^|]+) \|", (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8"), re.MULTILINE
    )
}
FLOOR_OF = {name: floor for floor, names in FLOORS.items() for name in names}

ROOMS = {
    name: floor
    for floor, names in enumerate(
        reversed(
            re.findall(
                r"^\| ([`\w, ]+) \|",
                (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8").partition("| rooms | what |")[2],
                re.MULTILINE,
            )
        )
    )
    for name in re.findall(r"`(\w+)`", names)
}

# A project that somebody has put beside the example has its place.
ROOMS |= {path.parent.name: ROOMS["flights"] for path in (ROOT / "model").glob("*/project.py")}

OPEN_TO_MODEL = {
    "app.artifacts",
    "app.check",
    "app.compatibility",
    "app.ecs",
    "app.errors",
    "app.observed.bins",
    "app.predictor",
    "app.profile",
    "app.registry.resolve",
    "app.registry.store",
    "app.settings",
    "app.signature",
    "app.wire.features",
}
ONLY_MLFLOW = "app.registry.mlflow_process"
# Slow to import, or not in the serving image at all.
NEVER_IN_APP = {"model", "tests", "pandas", "pyarrow", "sklearn", "matplotlib", "scipy", "dask", "pickle"}


Check = Callable[[dict[str, str]], list[str]]


def module_name(path: Path) -> str:
    """`app/wire/features.py` is `app.wire.features`, `app/wire/__init__.py` is `app.wire`."""
    steps = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(steps[:-1] if steps[-1] == "__init__" else steps)


def read_sources(package: str) -> dict[str, str]:
    """The text of each module below a package."""
    return {module_name(path): path.read_text(encoding="utf-8") for path in sorted((ROOT / package).rglob("*.py"))}


APP = read_sources("app")
MODEL = read_sources("model")


def find_imports(source: str, known: set[str]) -> set[str]:
    """
    Every module that a source imports, at its top or anywhere inside it.

    ``from app.registry import child`` imports `app.registry.child` if that is one of the `known` modules, and
    else `app.registry`. A relative import comes out with its dots, and so on no floor.
    """
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            module = "." * node.level + (node.module or "")
            inner = {f"{module}.{alias.name}" for alias in node.names}
            found |= inner & known
            if inner - known:
                found.add(module)
    return found


def floor_of(module: str) -> int | None:
    """The floor of a module of `app/`; of `app` itself the lowest; None where it has none."""
    steps = module.split(".")
    return 0 if steps == ["app"] else FLOOR_OF.get(steps[1])


def find_climbs(sources: dict[str, str]) -> list[str]:
    """Each import that leads to the same floor or a higher one, outside of the module's own package."""
    climbs = []
    for module, source in sources.items():
        floor = floor_of(module)
        for imported in sorted(find_imports(source, set(sources))):
            if not imported.startswith(("app", ".")) or imported == "app":
                continue
            package = ".".join(imported.split(".")[:2])
            target = None if imported.startswith(".") else floor_of(imported)
            is_own_package = module.startswith(f"{package}.") and package in sources
            if not is_own_package and (floor is None or target is None or target >= floor):
                climbs.append(f"{module} -> {imported}")
    return climbs


def find_cycle(sources: dict[str, str]) -> list[str]:
    """Modules that import each other in a ring, or none."""
    graph = {module: find_imports(source, set(sources)) & set(sources) - {"app"} for module, source in sources.items()}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


def find_foreign(sources: dict[str, str], unwanted: set[str]) -> list[str]:
    """Each import of an unwanted package."""
    return [
        f"{module} -> {imported}"
        for module, source in sources.items()
        for imported in sorted(find_imports(source, set(sources)))
        if imported.split(".")[0] in unwanted
    ]


def find_closed_doors(sources: dict[str, str]) -> list[str]:
    """Each import of `app/` into `model/` that is not open to it."""
    return [
        f"{module} -> {imported}"
        for module, source in sources.items()
        for imported in sorted(find_imports(source, set(APP) | set(sources)))
        if imported.split(".")[0] == "app" and imported not in OPEN_TO_MODEL
    ]


def test_every_module_has_a_floor_and_every_floor_its_modules() -> None:
    """A new file is given its place first, and no place is kept for one that is gone."""
    tops = {module.split(".")[1] for module in APP if module != "app"}
    assert tops == set(FLOOR_OF)
    assert len(FLOOR_OF) == sum(map(len, FLOORS.values()))


def test_a_module_imports_only_from_lower_floors() -> None:
    """Or from its own package; a request's way and a model version's way lead downwards."""
    assert find_climbs(APP) == []


@pytest.mark.parametrize("sources", [APP, MODEL], ids=["app", "model"])
def test_no_modules_import_each_other_in_a_ring(sources: dict[str, str]) -> None:
    """Not even within a package."""
    assert find_cycle(sources) == []


def find_stairs(sources: dict[str, str]) -> list[str]:
    """Each import of `model/` that leads to a room above, or to a neighbour's."""
    return [
        f"{module} -> {imported}"
        for module, source in sources.items()
        for imported in sorted(find_imports(source, set(sources)) - {"model"})
        if imported.split(".")[0] == "model" and module != "model"
        for own, other in [(module.split(".")[1], imported.split(".")[1])]
        if own != other and ROOMS[own] <= ROOMS[other] and ROOMS[own] > 0
    ]


def test_every_room_of_the_training_side_has_its_place() -> None:
    """And imports lead downwards between them."""
    assert {module.split(".")[1] for module in MODEL if module != "model"} == set(ROOMS)
    assert find_stairs(MODEL) == []
    assert find_stairs(MODEL | {"model.training.fit": "from model.project import Project"})


def test_the_service_imports_nothing_slow_and_nothing_of_the_training_side() -> None:
    """Neither at the top of a file nor inside a function."""
    assert find_foreign(APP, NEVER_IN_APP) == []


def test_only_the_child_process_imports_mlflow() -> None:
    """It takes seconds and a hundred megabytes, which the child gives back."""
    assert find_foreign({name: source for name, source in APP.items() if name != ONLY_MLFLOW}, {"mlflow"}) == []
    assert find_foreign({ONLY_MLFLOW: APP[ONLY_MLFLOW]}, {"mlflow"})


def test_nobody_imports_the_child_process() -> None:
    """It is run, and so never a part of the service."""
    assert [module for module, source in APP.items() if ONLY_MLFLOW in find_imports(source, set(APP))] == []


def test_the_training_side_uses_only_what_is_open_to_it() -> None:
    """What the two agree on is a model version's files."""
    assert find_closed_doors(MODEL) == []
    assert set(APP) >= OPEN_TO_MODEL


def test_the_document_draws_the_same_floors() -> None:
    """`docs/architecture.md` is what people read."""
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (\d+) \| ((?:`\w+`(?:, )?)+) \|", text, re.MULTILINE)
    assert {int(floor): set(re.findall(r"\w+", names)) for floor, names in rows} == FLOORS


@pytest.mark.parametrize(
    "source",
    [
        "import app.main",
        "from app.main import create_app",
        "from app import main",
        "def f():\n    import app.cli",
        "if TYPE_CHECKING:\n    from app.rollout import Rollout",
        "from app.predictor import Predictor",
        "from app.unheard_of import x",
        "from . import errors",
        "from .errors import Fault",
    ],
)
def test_an_import_that_leads_upwards_is_found(source: str) -> None:
    """Whatever way it is written: planted in a module of the third floor."""
    assert len(find_climbs(APP | {"app.predictor": source})) == 1


@pytest.mark.parametrize(
    ("check", "planted"),
    [
        (find_cycle, {"app.wire.json_text": "from app.wire import features"}),
        (lambda sources: find_foreign(sources, NEVER_IN_APP), {"app.ecs": "def f():\n    import pandas.core"}),
        (lambda sources: find_foreign(sources, {"mlflow"}), {"app.registry.child": "from mlflow import x"}),
        (find_closed_doors, {"model.train": "from app.registry import child"}),
        (find_closed_doors, {"model.train": "import app.forest.document"}),
        (find_climbs, {"app.new_file": "import app.errors"}),
    ],
)
def test_each_check_finds_what_is_planted(check: Check, planted: dict[str, str]) -> None:
    """A check that finds nothing ever would prove nothing."""
    assert set(check(APP | planted)) > set(check(APP))
