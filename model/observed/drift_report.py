"""Drift as a page that needs nothing beside itself: reference against observed for each feature, the worst first."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from model.observed.drift import LARGE, SLIGHT, Drift

_WIDTH, _BAR, _GAP, _LABEL = 360, 9, 8, 190
_STYLE = """
body { font: 15px/1.45 system-ui, sans-serif; margin: 2rem auto; max-width: 62rem; padding: 0 1rem; color: #1c2733; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.1rem; margin: 2rem 0 .3rem; }
table { border-collapse: collapse; } td, th { padding: .2rem .9rem .2rem 0; text-align: left; }
td.number, th.number { text-align: right; font-variant-numeric: tabular-nums; }
.large { color: #a3161d; font-weight: 600; } .slight { color: #8a5a00; font-weight: 600; }
svg text { font: 12px system-ui, sans-serif; fill: #1c2733; } .reference { fill: #9aa7b4; } .observed { fill: #0b62a4; }
p.key span { display: inline-block; width: .8em; height: .8em; margin: 0 .3em 0 1em; }
"""


def write_report(drifts: Sequence[Drift], model: str, period: str) -> str:
    """
    Write the page.

    Parameters
    ----------
    drifts : sequence of Drift
        In the order in which they are shown.
    model, period : str
        Whose, and of when, in words.

    Returns
    -------
    str
        HTML.
    """
    rows = "\n".join(
        f'<tr><td><a href="#{number}">{escape(_title(drift))}</a></td><td class="number">{drift.psi:.3f}</td>'
        f'<td class="{drift.verdict}">{drift.verdict}</td><td class="number">{drift.n_observed:,}</td>'
        f"<td>{escape(drift.widest)}</td></tr>"
        for number, drift in enumerate(drifts)
    )
    charts = "\n".join(
        f'<h2 id="{number}">{escape(_title(drift))} <small class="{drift.verdict}">PSI {drift.psi:.3f}</small></h2>\n'
        f"{_draw(drift)}"
        for number, drift in enumerate(drifts)
    )
    return f"""<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>Drift of {escape(model)}</title><style>{_STYLE}</style></head><body>
<h1>Drift of {escape(model)}</h1>
<p>{escape(period)}. The population stability index (PSI) says how far that is from the training rows: below {SLIGHT}
none, from {LARGE} large, by the usual rule of thumb.</p>
<table><tr><th>feature</th><th class="number">PSI</th><th>drift</th><th class="number">values</th>
<th>what changed most</th></tr>
{rows}</table>
<p class="key"><span style="background:#9aa7b4"></span>training <span style="background:#0b62a4"></span>observed</p>
{charts}
</body></html>
"""


def _title(drift: Drift) -> str:
    return "the prediction" if drift.kind == "prediction" else drift.name


def _draw(drift: Drift) -> str:
    """Two bars for each bin, the longest of all as long as there is room."""
    longest = max(*drift.reference, *drift.observed)
    height = len(drift.bins) * (2 * _BAR + _GAP)
    parts = []
    for place, (label, reference, observed) in enumerate(zip(drift.bins, drift.reference, drift.observed, strict=True)):
        top = place * (2 * _BAR + _GAP)
        parts.append(f'<text x="{_LABEL - 8}" y="{top + _BAR + 4}" text-anchor="end">{escape(label)}</text>')
        for row, (kind, share) in enumerate((("reference", reference), ("observed", observed))):
            width, y = _WIDTH * share / longest, top + row * _BAR
            parts.append(f'<rect class="{kind}" x="{_LABEL}" y="{y}" width="{width:.1f}" height="{_BAR - 1}"/>')
        parts.append(
            f'<text x="{_LABEL + _WIDTH * max(reference, observed) / longest + 6:.1f}" y="{top + _BAR + 4}">'
            f"{reference:.1%} → {observed:.1%}</text>"
        )
    return (
        f'<svg width="{_LABEL + _WIDTH + 130}" height="{height}" role="img" '
        f'aria-label="{escape(_title(drift))}: {escape(drift.widest)}">{"".join(parts)}</svg>'
    )
