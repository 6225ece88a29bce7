"""The front as one HTML file that needs nothing else, by plotly."""

from collections.abc import Sequence
from html import escape
from math import log10
from pathlib import Path

import plotly.graph_objects as go

from search.describe import describe, precision
from search.envelope import envelope, title
from store.records import Candidate


def draw(file: Path, candidates: Sequence[Candidate], front: Sequence[Candidate]) -> None:
    """Quality against memory, coloured by speed; hovering shows the candidate. The script is inside the file."""
    on_front = {c.variant for c in front}
    others = [c for c in candidates if c.variant not in on_front]
    line = envelope(front)
    speeds = [log10(c.tokens_per_second) for c in front]
    ticks = [t for power in range(-3, 8) for t in (10**power, 2 * 10**power, 5 * 10**power)]
    ticks = [t for t in ticks if min(speeds) - 0.1 <= log10(t) <= max(speeds) + 0.1]
    figure = go.Figure()
    figure.add_scatter(
        x=[c.memory_bytes / 1e9 for c in others],
        y=[c.quality for c in others],
        mode="markers",
        name="dominated",
        marker={"size": 5, "color": "rgba(150,150,150,0.35)"},
        text=[_hover(c) for c in others],
        hovertemplate="%{text}<extra></extra>",
    )
    figure.add_scatter(
        x=[c.memory_bytes / 1e9 for c in line],
        y=[c.quality for c in line],
        mode="lines",
        name="best quality for the memory",
        line={"shape": "hv", "color": "rgba(60,60,60,0.8)", "width": 1.5},
        hoverinfo="skip",
    )
    figure.add_scatter(
        x=[c.memory_bytes / 1e9 for c in front],
        y=[c.quality for c in front],
        mode="markers",
        name="Pareto front",
        error_y={"type": "data", "array": [c.quality_sigma for c in front], "visible": False},
        marker={
            "size": 10,
            "color": speeds,
            "colorscale": "Viridis",
            "line": {"width": 0.7, "color": "white"},
            "colorbar": {
                "title": {"text": "decode, tokens/s"},
                "tickvals": [log10(t) for t in ticks],
                "ticktext": [f"{t:g}" for t in ticks],
            },
        },
        text=[_hover(c) for c in front],
        hovertemplate="%{text}<extra></extra>",
    )
    figure.update_layout(
        title={"text": f"Pareto front: {escape(title(front))}"},
        xaxis={"title": {"text": "memory of the whole job, GB (1e9 bytes)"}, "type": "log", "dtick": "D2"},
        yaxis_title=f"quality ({escape(front[0].fidelity)}); a dense model of 1e9 parameters is 1.0",
        template="plotly_white",
        legend={"orientation": "h", "y": 1.06, "x": 1, "xanchor": "right"},
    )
    figure.write_html(file, include_plotlyjs=True, full_html=True)


def _hover(c: Candidate) -> str:
    """Names come from users' spaces: they are escaped, since plotly reads the text as HTML."""
    lines = (
        f"<b>{escape(c.study)} / {c.trial}</b>",
        f"quality {c.quality:.4f} ± {c.quality_sigma:.4f} ({escape(c.fidelity)})",
        f"{c.memory_bytes / 1e9:.2f} GB, {c.tokens_per_second:.1f} tokens/s",
        f"{c.parameters_total / 1e9:.3g}B parameters, {escape(precision(c.spec))}",
        escape(describe(c.spec)),
    )
    return "<br>".join(lines)
