"""The front as a PNG, by matplotlib."""

from collections.abc import Sequence
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.collections import PathCollection
from matplotlib.colors import LogNorm
from matplotlib.ticker import LogFormatter, LogLocator, NullFormatter, ScalarFormatter

from search.describe import describe, precision
from search.envelope import PANELS, Panel, envelope, labelled, panels, title
from store.records import Candidate

DPI = 150
# Where labels stand: the corner of much memory and little quality is empty, so they go in steps that follow the curve.
PLACES = {"best quality": (0.985, 0.4), "best in half the memory": (0.74, 0.56), "fastest": (0.66, 0.1)}


def draw(file: Path, candidates: Sequence[Candidate], front: Sequence[Candidate]) -> None:
    """Quality against memory, coloured by speed; one panel for each setting, all with the same scales."""
    found = panels(candidates, front)
    drawn = found[:PANELS]
    height = 6.5 if len(drawn) == 1 else 0.8 + 4.6 * len(drawn)
    figure, grid = plt.subplots(
        len(drawn), figsize=(11, height), sharex=True, sharey=True, squeeze=False, constrained_layout=True
    )
    speeds = [c.tokens_per_second for panel in drawn for c in panel.front]
    norm = LogNorm(min(speeds), max(max(speeds), min(speeds) * 1.01))
    rows: list[Axes] = list(grid[:, 0])
    for axes, panel in zip(rows, drawn, strict=True):
        points = _draw_panel(axes, panel, norm)
        axes.set_ylabel(f"quality ({front[0].fidelity}); a dense model of 1e9 parameters is 1.0")
        axes.set_title(panel.name)
    if len(found) == 1:
        rows[0].legend(loc="upper left", frameon=False)
    else:
        legend = rows[0].get_legend_handles_labels()
        figure.legend(*legend, title=title(drawn, len(found)), loc="outside upper center", ncols=4, frameon=False)
        for axes in rows:
            axes.set_ylabel(f"quality ({front[0].fidelity})")
            axes.tick_params(labelbottom=True)
    bar = figure.colorbar(points, ax=rows, pad=0.01, aspect=20 * len(rows))
    bar.set_label("decode, tokens a second")
    bar.ax.yaxis.set_major_formatter(ScalarFormatter())
    bar.ax.yaxis.set_minor_formatter(LogFormatter())
    rows[-1].set_xlabel("memory of the whole job, GB (1e9 bytes)")
    figure.savefig(file, dpi=DPI)
    plt.close(figure)


def _draw_panel(axes: Axes, panel: Panel, norm: LogNorm) -> PathCollection:
    """The points of its front.

    Dominated candidates are faint, the front bright; the best quality for each memory is a line with one sigma around.
    """
    axes.scatter(_memory(panel.dominated), [c.quality for c in panel.dominated], s=10, color="0.82", label="dominated")
    line = envelope(panel.front)
    memory, best = _memory(line), [c.quality for c in line]
    below, above = ([c.quality + sign * c.quality_sigma for c in line] for sign in (-1, 1))
    axes.fill_between(memory, below, above, step="post", color="0.5", alpha=0.12, lw=0, label="one sigma of the prior")
    axes.step(memory, best, where="post", color="0.35", lw=1.2, label="best quality for the memory", zorder=2)
    points = axes.scatter(
        _memory(panel.front),
        [c.quality for c in panel.front],
        c=[c.tokens_per_second for c in panel.front],
        norm=norm,
        cmap="viridis",
        s=42,
        edgecolor="white",
        linewidth=0.6,
        label="Pareto front",
        zorder=3,
    )
    equal = {c.variant: f", {n} equal" for c, n in zip(panel.front, panel.equal, strict=True) if n > 1}
    for c, text in labelled(panel.front):
        axes.annotate(
            f"{text}, {c.tokens_per_second:.0f} tokens/s{equal.get(c.variant, '')}\n"
            f"{describe(c.spec)}, {precision(c.spec)}",
            (c.memory_bytes / 1e9, c.quality),
            xytext=PLACES[text],
            textcoords="axes fraction",
            fontsize=8,
            ha="right",
            arrowprops={"arrowstyle": "-", "color": "0.5", "lw": 0.7},
            bbox={"boxstyle": "round,pad=0.3", "fc": "white", "ec": "0.8", "alpha": 0.9},
            zorder=4,
        )
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter(ScalarFormatter())
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.grid(color="0.93")
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    return points


def _memory(candidates: Sequence[Candidate]) -> list[float]:
    return [c.memory_bytes / 1e9 for c in candidates]
