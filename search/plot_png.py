"""The front as a PNG, by matplotlib."""

from collections.abc import Sequence
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
from matplotlib.colors import LogNorm
from matplotlib.ticker import LogLocator, NullFormatter, ScalarFormatter

from search.describe import describe, precision
from search.envelope import envelope, labelled, title
from store.records import Candidate

DPI = 150


def draw(file: Path, candidates: Sequence[Candidate], front: Sequence[Candidate]) -> None:
    """Quality against memory, coloured by speed.

    Dominated candidates are faint, the front bright; the best quality for each memory is a line with one sigma around.
    """
    figure, axes = plt.subplots(figsize=(11, 6.5), constrained_layout=True)
    on_front = {c.variant for c in front}
    others = [c for c in candidates if c.variant not in on_front]
    axes.scatter(_memory(others), [c.quality for c in others], s=10, color="0.82", label="dominated")
    line = envelope(front)
    memory, best = _memory(line), [c.quality for c in line]
    below, above = ([c.quality + sign * c.quality_sigma for c in line] for sign in (-1, 1))
    axes.fill_between(memory, below, above, step="post", color="0.5", alpha=0.12, lw=0, label="one sigma of the prior")
    axes.step(memory, best, where="post", color="0.35", lw=1.2, label="best quality for the memory", zorder=2)
    speeds = [c.tokens_per_second for c in front]
    points = axes.scatter(
        _memory(front),
        [c.quality for c in front],
        c=speeds,
        norm=LogNorm(min(speeds), max(max(speeds), min(speeds) * 1.01)),
        cmap="viridis",
        s=42,
        edgecolor="white",
        linewidth=0.6,
        label="Pareto front",
        zorder=3,
    )
    # The corner of much memory and little quality is empty: labels stand there, in steps that follow the curve.
    for (c, text), place in zip(labelled(front), ((0.985, 0.4), (0.8, 0.56), (0.66, 0.1)), strict=False):
        axes.annotate(
            f"{text}, {c.tokens_per_second:.0f} tokens/s\n{describe(c.spec)}, {precision(c.spec)}",
            (c.memory_bytes / 1e9, c.quality),
            xytext=place,
            textcoords="axes fraction",
            fontsize=8,
            ha="right",
            arrowprops={"arrowstyle": "-", "color": "0.5", "lw": 0.7},
            bbox={"boxstyle": "round,pad=0.3", "fc": "white", "ec": "0.8", "alpha": 0.9},
            zorder=4,
        )
    bar = figure.colorbar(points, ax=axes, pad=0.01)
    bar.set_label("decode, tokens a second")
    bar.ax.yaxis.set_major_formatter(ScalarFormatter())
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter(ScalarFormatter())
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_xlabel("memory of the whole job, GB (1e9 bytes)")
    axes.set_ylabel(f"quality ({front[0].fidelity}); a dense model of 1e9 parameters is 1.0")
    axes.set_title(title(front))
    axes.grid(color="0.93")
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(loc="upper left", frameon=False)
    figure.savefig(file, dpi=DPI)
    plt.close(figure)


def _memory(candidates: Sequence[Candidate]) -> list[float]:
    return [c.memory_bytes / 1e9 for c in candidates]
