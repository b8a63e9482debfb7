"""The set-up holds together: the lock files, the Makefile and the wheel say what they are meant to say."""

import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

from app import __version__

ROOT = Path(__file__).resolve().parents[2]
REQUIREMENTS = ROOT / "requirements"
LOCKS = sorted(REQUIREMENTS.glob("*.txt"))
SETS = ["serve", "train", "dev"]  # each holds the one before it

PIN = re.compile(r"^(?P<name>[A-Za-z0-9][\w.-]*)(?:\[[\w,-]+])?==(?P<version>[^\s;]+)(?: ; (?P<marker>[^\\]+?))? \\$")
HASH = re.compile(r"^ {4}--hash=sha256:[0-9a-f]{64}( \\)?$")


def pins(name: str) -> dict[str, str]:
    """Read the version of each package of a set, by name; one that is pinned twice fails the test."""
    found: dict[str, str] = {}
    for line in (REQUIREMENTS / f"{name}.txt").read_text().splitlines():
        if match := PIN.match(line):
            assert match["name"] not in found, f"{match['name']} is pinned twice in {name}.txt"
            found[match["name"]] = match["version"]
    return found


def required(name: str) -> set[str]:
    """Read the names that a set asks for itself, without those of the set it builds on."""
    lines = (REQUIREMENTS / f"{name}.in").read_text().splitlines()
    return {re.split(r"[=;<>\[ ]", line)[0] for line in lines if line and not line.startswith(("#", "-"))}


def test_every_set_of_requirements_is_locked() -> None:
    assert {path.stem for path in LOCKS} == {path.stem for path in REQUIREMENTS.glob("*.in")}


@pytest.mark.parametrize("lock", LOCKS, ids=lambda path: path.name)
def test_a_lock_file_is_pins_with_hashes_and_nothing_else(lock: Path) -> None:
    lines = lock.read_text().splitlines()
    for line, following in zip(lines, [*lines[1:], ""], strict=True):
        assert line.lstrip().startswith("#") or PIN.match(line) or HASH.match(line), f"neither pin nor hash: {line}"
        if PIN.match(line):
            assert HASH.match(following), f"no hash: {line}"


@pytest.mark.parametrize("path", sorted(REQUIREMENTS.iterdir()), ids=lambda path: path.name)
def test_no_file_of_requirements_says_where_packages_come_from(path: Path) -> None:
    lines = path.read_text().splitlines()
    options = ("--index-url", "--extra-index-url", "--find-links", "--trusted-host")
    assert [line for line in lines if "://" in line or line.startswith(options)] == []


@pytest.mark.parametrize(
    ("smaller", "larger"),
    [
        ("serve", "train"),
        ("train", "dev"),
        ("bootstrap", "dev"),
        ("serve", "bench"),
        ("serve", "otel"),
        ("otel", "dev"),
        ("dvc", "dev"),
        ("tune", "dev"),
        ("dask", "dev"),
        ("mlflow-server", "stores"),
    ],
)
def test_a_package_has_one_version_in_all_sets(smaller: str, larger: str) -> None:
    differing = {name for name, version in pins(smaller).items() if pins(larger).get(name) != version}
    assert differing == ({"uv"} if smaller == "bootstrap" else set())  # uv installs the other sets


def test_what_is_tested_against_is_of_the_same_versions() -> None:
    # The MLflow that serves the registry is the one whose client asks it.
    differing = {name for name, version in pins("stores").items() if pins("dev").get(name, version) != version}
    assert differing == set()


@pytest.mark.parametrize("name", [*SETS, "bench", "kubernetes", "mlflow-server", "otel", "stores"])
def test_a_lock_file_holds_all_that_was_asked_for(name: str) -> None:
    assert required(name) <= pins(name).keys()


@pytest.mark.parametrize("unwanted", ["mlflow", "pandas", "scikit-learn", "pyarrow", "matplotlib", "sqlalchemy"])
def test_the_service_does_without_what_only_training_needs(unwanted: str) -> None:
    assert unwanted not in pins("serve")


def test_this_environment_is_the_locked_one() -> None:
    # What was tested is then what runs.
    from importlib.metadata import distributions

    installed = {dist.name.lower().replace("_", "-"): dist.version for dist in distributions(path=sys.path)}
    differing = {
        name: installed[name] for name, version in pins("dev").items() if installed.get(name, version) != version
    }
    assert differing == {}


def test_help_lists_every_target() -> None:
    makefile = (ROOT / "Makefile").read_text()
    targets = set(re.findall(r"^([a-z][a-z0-9-]*):", makefile, re.MULTILINE))
    phony = set(" ".join(re.findall(r"^\.PHONY:(.*)$", makefile, re.MULTILINE)).split())
    shown = subprocess.run(
        ["make", "--no-print-directory"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    assert set(re.findall(r"^ {2}make (\S+) +\S", shown, re.MULTILINE)) == targets == phony


def test_the_wheel_holds_the_service_and_nothing_else(tmp_path: Path) -> None:
    # Built from a copy, so that nothing is left in the project and nothing of an earlier build gets in.
    source = tmp_path / "source"
    kept = [ROOT / name for name in ("pyproject.toml", "LICENSE", "README.md", "app", "model", "tests", "requirements")]
    for path in [path for top in kept for path in (top.rglob("*") if top.is_dir() else [top])]:
        if path.is_file() and "__pycache__" not in path.parts and path.suffix != ".so":
            copy = source / path.relative_to(ROOT)
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_bytes(path.read_bytes())
    build = "import sys; from setuptools.build_meta import build_wheel; print(build_wheel(sys.argv[1]))"
    subprocess.run([sys.executable, "-c", build, str(tmp_path)], cwd=source, capture_output=True, check=True)

    [path] = tmp_path.glob("*.whl")
    with zipfile.ZipFile(path) as wheel:
        held = set(wheel.namelist())
        metadata = wheel.read(f"treeserve-{__version__}.dist-info/METADATA").decode()
        scripts = wheel.read(f"treeserve-{__version__}.dist-info/entry_points.txt").decode()

    app = [path for path in (source / "app").rglob("*") if path.suffix in {".py", ".pyi", ".json", ".typed"}]
    compiled = {name for name in held if name.endswith(".so")}
    assert {name for name in held if ".dist-info/" not in name} - compiled == {str(p.relative_to(source)) for p in app}
    assert {name.partition(".")[0] for name in compiled} == {
        "app/forest/_kernel",
        "app/observed/_counting",
        "app/wire/_codec",
    }
    assert "treeserve = app.cli:main" in scripts
    requirements = re.findall(r"^Requires-Dist: ([\w.-]+)(.*)", metadata, re.MULTILINE)
    extras = {name for name, marker in requirements if 'extra == "otel"' in marker}
    assert {name for name, _ in requirements} - extras == required("serve")
    assert extras == required("otel")
    python = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["requires-python"]
    assert f"Requires-Python: {python}" in metadata
