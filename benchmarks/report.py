"""What a benchmark writes: tables in Markdown, the machine it ran on, and charts."""

from __future__ import annotations

import platform
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from benchmarks.servers import choose_cores
from tests.processes import PROJECT

FOLDER = PROJECT / "build" / "bench"


def format_table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """
    Write a table in Markdown, with its columns below each other: the first to the left, the others to the right.

    Raises
    ------
    ValueError
        If a row has more or fewer cells than the header.
    """
    lines = [list(header), *map(list, rows)]
    if any(len(line) != len(header) for line in lines):
        raise ValueError(f"a row has not the {len(header)} cells of the header")
    widths = [max(len(line[column]) for line in lines) for column in range(len(header))]
    rule = ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]

    def write(cells: Sequence[str]) -> str:
        aligned = [cells[0].ljust(widths[0]), *(c.rjust(w) for c, w in zip(cells[1:], widths[1:], strict=True))]
        return "| " + " | ".join(aligned) + " |"

    return "\n".join(map(write, [lines[0], rule, *lines[1:]])) + "\n"


def format_number(number: float) -> str:
    """With three digits, or as a whole number if it has more before the point."""
    return f"{number:,.0f}" if abs(number) >= 99.95 else f"{number:.3g}"  # noqa: PLR2004


def describe_machine(packages: Sequence[str]) -> str:
    """One line: date, processor, cores, system, Python, and the versions of installed packages."""
    versions = ", ".join(f"{package} {version(package)}" for package in packages)
    server, load = choose_cores()
    return (
        f"{datetime.now(UTC):%Y-%m-%d}, {describe_processor()}, server on core {server}, load from core {load}, "
        f"{platform.system()} {platform.release()}, Python {platform.python_version()}, {versions}"
    )


def describe_processor() -> str:
    """The processor and how many cores it has, as Linux says."""
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return f"{names[0]}, {len(names)} cores" if names else platform.machine()


def draw_bars(
    file: Path, title: str, unit: str, groups: Mapping[str, Mapping[str, float]], *, is_logarithmic: bool = False
) -> None:
    """
    Draw groups of bars, with the value at each, as a picture.

    Parameters
    ----------
    file : pathlib.Path
        Its ending says the format.
    title, unit : str
    groups : mapping of str to mapping of str to float
        For each group, the value of each bar; a bar that is missing in a group is left out there.
    is_logarithmic : bool
    """
    import matplotlib as mpl

    mpl.use("agg")
    from matplotlib import pyplot as plt

    names = list(dict.fromkeys(name for bars in groups.values() for name in bars))
    height = 0.8 / len(names)
    figure, axes = plt.subplots(figsize=(9, 1.2 + 0.28 * len(names) * len(groups)), layout="constrained")
    for number, name in enumerate(names):
        found = [(at, bars[name]) for at, bars in enumerate(groups.values()) if name in bars]
        places = [at + (number - (len(names) - 1) / 2) * height for at, _ in found]
        bars = axes.barh(places, [value for _, value in found], height, label=name)
        axes.bar_label(bars, fmt=format_number, padding=3, fontsize="small")
    axes.set_yticks(range(len(groups)), list(groups))
    axes.invert_yaxis()
    if not is_logarithmic:
        axes.xaxis.set_major_formatter("{x:,.0f}")
    axes.set_xlabel(unit)
    axes.set_title(title)
    axes.margins(x=0.12)
    if is_logarithmic:
        axes.set_xscale("log")
    if len(names) > 1:
        axes.legend()
    figure.savefig(file)
    plt.close(figure)
