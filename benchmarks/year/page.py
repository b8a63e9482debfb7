"""The year as a chart, as a page of the docs, and as a report that needs nothing beside itself."""

from __future__ import annotations

import base64
import io
from html import escape
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmarks.report import describe_machine, format_table
from benchmarks.year.record import Event, Month, Record
from tests.processes import PROJECT

_PAGE, _PICTURE = PROJECT / "docs" / "year.md", PROJECT / "docs" / "pictures" / "year.png"
_BLUE, _GREY, _GREEN, _RED, _ORANGE = "#1f5a94", "#8a8a8a", "#2c7a3f", "#b3261e", "#d1730f"
# How an outcome of a retraining is drawn, and said.
_MARKS = {
    "promoted": (_GREEN, "^", "promoted"),
    "refused": (_RED, "x", "refused by the gate"),
    "dropped": (_ORANGE, "v", "dropped after it had shadowed"),
}
_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 60rem; padding: 0 1rem; color: #1c2733; }
table { border-collapse: collapse; } td, th { padding: .15rem .8rem .15rem 0; text-align: right; }
td:first-child, th:first-child, table.events td { text-align: left; vertical-align: top; } img { max-width: 100%; }
"""
_HEADER = (
    "month", "flights", "late", "AUC", "never retrained", "calibration error", "never retrained",
    "PSI of the prediction", "never retrained", "PSI of features, mean", "never retrained", "versions",
    "to unknown destinations",
)  # fmt: skip


def write_page(record: Record, folder: Path) -> list[Path]:
    """
    Write the report into a folder, and the page and its chart into the docs.

    Returns
    -------
    list of pathlib.Path
        What was written.
    """
    picture = io.BytesIO()
    draw(record).savefig(picture, format="png", dpi=72)
    report = folder / "report.html"
    report.write_text(write_report(record, picture.getvalue()), encoding="utf-8")
    _PICTURE.write_bytes(picture.getvalue())
    begin, end = "<!-- written by make year -->\n", "<!-- end -->\n"
    text = _PAGE.read_text(encoding="utf-8")
    before, _, rest = text.partition(begin)
    _PAGE.write_text(
        before + begin + "\n" + write_tables(record) + "\n" + end + rest.partition(end)[2], encoding="utf-8"
    )
    return [report, _PAGE, _PICTURE]


def draw(record: Record) -> Figure:
    """AUC, calibration error and PSI by month, of both models, with what was decided when."""
    figure = Figure(figsize=(9, 9.5), layout="constrained")
    above, middle, below = figure.subplots(3, 1, sharex=True, height_ratios=[3, 2, 2])
    months = [month.name for month in record.months]
    places = list(range(len(months)))
    for axes, title in (
        (above, "AUC of what was answered, by the outcomes that came later"),
        (middle, "Calibration error"),
        (below, "PSI against the rows that the answering version was fitted on"),
    ):
        axes.set_title(title, loc="left", fontsize=11)
        axes.grid(color="#e4e4e4", linewidth=0.8)
        axes.set_axisbelow(True)
        axes.spines[["top", "right"]].set_visible(False)
    for name, label, colour in (("retrained", "kept up to date", _BLUE), ("never", "never retrained", _GREY)):
        figures = [getattr(month, name) for month in record.months]
        above.plot(places, [each.auc for each in figures], color=colour, marker="o", label=label)
        middle.plot(places, [each.calibration_error for each in figures], color=colour, marker="o", label=label)
        below.plot(
            places, [each.psi_prediction for each in figures], color=colour, marker="o", label=f"prediction, {label}"
        )
        mean = [each.psi_features for each in figures]
        below.plot(
            places, mean, color=colour, linestyle=":", marker="o", markersize=3, label=f"features' mean, {label}"
        )
    middle.set_ylim(bottom=0)
    below.set_ylim(bottom=0)
    _mark(above, record, months)
    below.set_xticks(places, [f"{name}" for name in months])
    above.legend(loc="lower right", frameon=False, ncols=2)
    below.legend(loc="upper right", frameon=False, fontsize=8)
    return figure


def _mark(axes: Axes, record: Record, months: list[str]) -> None:
    low, high = axes.get_ylim()
    for outcome, (colour, marker, label) in _MARKS.items():
        events = [event for event in record.events if event.outcome == outcome and event.day[:7] in months]
        # Days are between the months' points, each of which stands in the middle of its month.
        at = [months.index(event.day[:7]) + (int(event.day[8:]) - 15) / 30 for event in events]
        for place in at:
            axes.axvline(place, color=colour, linewidth=0.8, alpha=0.5)
        if at:
            axes.scatter(at, [high] * len(at), color=colour, marker=marker, s=45, label=label, clip_on=False, zorder=3)
    axes.set_ylim(low, high)


def write_tables(record: Record) -> str:
    """Both tables, in Markdown."""
    lines = [
        f"{record.n_requests:,} requests, **{len(record.failures)} failed**; {record.n_outcomes:,} outcomes told; "
        f"{record.took_s / 60:.0f} minutes on {describe_machine(['xgboost-cpu', 'mlflow'])}.",
        "",
        format_table(_HEADER, [_cells(month) for month in record.months]),
        "What retraining decided, by the day of the year:",
        "",
        *(f"- {event.day}: version {event.version} {event.outcome}. {event.why}".rstrip() for event in record.events),
        "",
    ]
    return "\n".join(lines)


def write_report(record: Record, picture: bytes) -> str:
    """The same as a page of HTML, with the chart in it."""
    encoded = base64.b64encode(picture).decode()
    months = "".join(_row(_cells(month)) for month in record.months)
    events = "".join(_row(_event_cells(event)) for event in record.events)
    failures = "".join(f"<li>{escape(failure)}</li>" for failure in record.failures[:20])
    return f"""<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>A year in the life</title><style>{_STYLE}</style></head><body>
<h1>A year in the life</h1>
<p>{record.n_requests:,} requests, {len(record.failures)} failed; {record.n_outcomes:,} outcomes told;
{record.took_s / 60:.0f} minutes.</p>
<ul>{failures}</ul>
<img alt="AUC, calibration error and PSI by month, of the model kept up to date and of the one never retrained"
 src="data:image/png;base64,{encoded}">
<h2>Months</h2>
<table><tr>{"".join(f"<th>{escape(name)}</th>" for name in _HEADER)}</tr>
{months}</table>
<h2>Decisions</h2>
<table class="events"><tr><th>day</th><th>decision</th><th>version</th><th>why</th></tr>
{events}</table>
</body></html>
"""


def _cells(month: Month) -> list[str]:
    pairs = [
        (f"{getattr(month.retrained, name):.3f}", f"{getattr(month.never, name):.3f}")
        for name in ("auc", "calibration_error", "psi_prediction", "psi_features")
    ]
    figures = [cell for pair in pairs for cell in pair]
    versions = ", ".join(month.retrained.versions)
    return [month.name, f"{month.n_flights:,}", f"{month.base_rate:.0%}", *figures, versions, f"{month.n_unknown:,}"]


def _event_cells(event: Event) -> list[str]:
    return [event.day, event.outcome, event.version, event.why.replace("|", "/")]


def _row(cells: list[str]) -> str:
    return f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in cells)}</tr>\n"
