"""A scene as PNG, drawn by matplotlib (slow to import: only when asked for)."""

from pathlib import Path as File

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch, PathPatch, Polygon
from matplotlib.path import Path
from matplotlib.patheffects import Normal, Stroke

from compiler.draw.scene import Box, Scene, Wire

HALO = [Stroke(linewidth=2, foreground="white"), Normal()]
DOTS = 100.0  # pixels to the inch of the figure; text sizes are given in points of 1/72 inch


def write_png(scene: Scene, file: File, zoom: float = 1.5) -> None:
    """Write the picture, `zoom` times as large as the SVG."""
    figure = Figure(figsize=(scene.width / DOTS, scene.height / DOTS), dpi=DOTS * zoom)
    FigureCanvasAgg(figure)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_xlim(0, scene.width)
    axes.set_ylim(scene.height, 0)
    axes.axis("off")
    for box in scene.boxes:
        axes.add_patch(_box(box, 0 if box.radius == 8 else 2))
    for wire in scene.wires:
        axes.add_patch(_wire(wire))
        x, y = wire.points[-1]
        axes.add_patch(Polygon([(x - 3.5, y - 7), (x + 3.5, y - 7), (x, y)], color=wire.color, linewidth=0, zorder=1))
    sides = {"start": "left", "middle": "center", "end": "right"}
    for text in scene.texts:
        axes.text(
            text.x, text.y, text.text.replace("$", r"\$"), fontsize=text.size * 72 / DOTS * 0.92, color=text.color,
            ha=sides[text.anchor], va="baseline", weight="bold" if text.bold else "normal", zorder=3,
            path_effects=HALO if text.halo else None,
        )  # fmt: skip
    figure.savefig(file, format="png", facecolor="white")


def _box(box: Box, order: int) -> FancyBboxPatch:
    style = f"round,pad=0,rounding_size={min(box.radius, box.height / 2)}"
    return FancyBboxPatch(
        (box.x, box.y), box.width, box.height, boxstyle=style, facecolor=box.fill, edgecolor=box.stroke, linewidth=0.7,
        linestyle="--" if box.dashed else "-", zorder=order,
    )  # fmt: skip


def _wire(wire: Wire) -> PathPatch:
    (x, y), *rest = wire.points
    points, codes = [(x, y)], [Path.MOVETO]
    for i, (nx, ny) in enumerate(rest):
        bend = (y + ny) / 2
        if i % 2 == 0:
            points += [(x, bend), (nx, bend), (nx, ny)]
            codes += [Path.CURVE4] * 3
        else:
            points.append((nx, ny))
            codes.append(Path.LINETO)
        x, y = nx, ny
    line = (0, (4, 3)) if wire.dashed else "-"
    return PathPatch(Path(points, codes), fill=False, color=wire.color, linewidth=0.9, linestyle=line, zorder=1)
