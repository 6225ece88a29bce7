"""The front as one HTML file that needs nothing else, by plotly."""

from collections.abc import Sequence
from html import escape
from math import log10
from pathlib import Path

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from search.describe import describe, precision
from search.envelope import PANELS, Panel, envelope, panels, title
from store.records import Candidate

PANEL_HEIGHT = 480  # pixels of each, where there are several; one fills the window
MARGIN = 160
WIDE = 5


def draw(file: Path, candidates: Sequence[Candidate], front: Sequence[Candidate]) -> None:
    """Quality against memory, coloured by speed; hovering shows the candidate; one panel for each setting, all with
    the same scales. The script is inside the file.
    """
    found = panels(candidates, front)
    drawn = found[:PANELS]
    several = len(found) > 1
    height = MARGIN + PANEL_HEIGHT * len(drawn)
    figure = make_subplots(
        rows=len(drawn),
        subplot_titles=[escape(panel.name) for panel in drawn] if several else None,
        vertical_spacing=90 / (height - MARGIN) if several else 0,
    )
    named: set[str] = set()  # in the legend, once for all panels
    for row, panel in enumerate(drawn, 1):
        for trace in _traces(panel):
            trace.showlegend = trace.name not in named and len(trace.x) > 0
            named |= {trace.name} if trace.showlegend else set()
            figure.add_trace(trace, row=row, col=1)
    figure.update_layout(
        title={"text": f"Pareto front: {escape(title(drawn, len(found)))}"},
        template="plotly_white",
        coloraxis=_coloraxis([c for panel in drawn for c in panel.front]),
        legend={"orientation": "h", "y": 1.06, "x": 1, "xanchor": "right"},
    )
    memory = [c.memory_bytes for panel in drawn for c in (*panel.dominated, *panel.front)]
    figure.update_xaxes(
        title_text="memory of the whole job, GB (1e9 bytes)",
        type="log",
        dtick="D2" if max(memory) > WIDE * min(memory) else None,  # 1, 2, 5, 10: a narrow range may hold none of them
        matches="x",
    )
    figure.update_yaxes(title_text=f"quality ({escape(front[0].fidelity)}); a dense model of 1e9 parameters is 1.0")
    if several:
        figure.update_layout(height=height, legend_y=1 + 50 / (height - MARGIN))
        figure.update_yaxes(title_text=f"quality ({escape(front[0].fidelity)})", matches="y")
        figure.update_annotations(x=0, xanchor="left")
    figure.write_html(file, include_plotlyjs=True, full_html=True)


def _traces(panel: Panel) -> list[go.Scatter]:
    """Dominated candidates, the line of the best quality for the memory, the front; a click on one of the legend hides
    it in every panel.
    """
    line = envelope(panel.front)
    return [
        go.Scatter(
            x=[c.memory_bytes / 1e9 for c in panel.dominated],
            y=[c.quality for c in panel.dominated],
            mode="markers",
            name="dominated",
            legendgroup="dominated",
            marker={"size": 5, "color": "rgba(150,150,150,0.35)"},
            text=[_hover(c) for c in panel.dominated],
            hovertemplate="%{text}<extra></extra>",
        ),
        go.Scatter(
            x=[c.memory_bytes / 1e9 for c in line],
            y=[c.quality for c in line],
            mode="lines",
            name="best quality for the memory",
            legendgroup="best",
            line={"shape": "hv", "color": "rgba(60,60,60,0.8)", "width": 1.5},
            hoverinfo="skip",
        ),
        go.Scatter(
            x=[c.memory_bytes / 1e9 for c in panel.front],
            y=[c.quality for c in panel.front],
            mode="markers",
            name="Pareto front",
            legendgroup="front",
            error_y={"type": "data", "array": [c.quality_sigma for c in panel.front], "visible": False},
            marker={
                "size": 10,
                "color": [log10(c.tokens_per_second) for c in panel.front],
                "coloraxis": "coloraxis",
                "line": {"width": 0.7, "color": "white"},
            },
            text=[_hover(c, equal) for c, equal in zip(panel.front, panel.equal, strict=True)],
            hovertemplate="%{text}<extra></extra>",
        ),
    ]


def _coloraxis(front: Sequence[Candidate]) -> dict[str, object]:
    """By the logarithm of the speed, with the speed at its ticks."""
    speeds = [log10(c.tokens_per_second) for c in front]
    low, high = min(speeds), max(max(speeds), min(speeds) + 0.005)
    ticks = [t for power in range(-3, 8) for t in (10**power, 2 * 10**power, 5 * 10**power)]
    ticks = [t for t in ticks if low - 0.1 <= log10(t) <= high + 0.1]
    if sum(low <= log10(t) <= high for t in ticks) < 2:  # a narrow range
        ticks = [10 ** (low + (high - low) * i / 4) for i in range(5)]
    return {
        "colorscale": "Viridis",
        "cmin": low,
        "cmax": high,
        "colorbar": {
            "title": {"text": "decode, tokens/s"},
            "tickvals": [log10(t) for t in ticks],
            "ticktext": [f"{t:.4g}" if t < 1e4 else f"{t:.0f}" for t in ticks],
        },
    }


def _hover(c: Candidate, equal: int = 1) -> str:
    """Names come from users' spaces: they are escaped, since plotly reads the text as HTML."""
    lines = [
        f"<b>{escape(c.study)} / {c.trial}</b>{f', {equal} equal' if equal > 1 else ''}",
        f"quality {c.quality:.4f} ± {c.quality_sigma:.4f} ({escape(c.fidelity)})",
        f"{c.memory_bytes / 1e9:.2f} GB, {c.tokens_per_second:.1f} tokens/s",
        f"{c.parameters_total / 1e9:.3g}B parameters, {escape(precision(c.spec))}",
        escape(describe(c.spec)),
    ]
    return "<br>".join(lines)
