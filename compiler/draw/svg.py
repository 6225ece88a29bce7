"""A scene as SVG. Every text is escaped; the file loads nothing."""

import re
from xml.sax.saxutils import escape, quoteattr

from compiler.draw.scene import Box, Scene, Text, Wire

_FORBIDDEN = re.compile("[^\t\n\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
FACE = "Inter, 'Segoe UI', 'Helvetica Neue', Arial, 'DejaVu Sans', sans-serif"


def svg(scene: Scene) -> str:
    """The whole file."""
    size = f'width="{scene.width:.0f}" height="{scene.height:.0f}" viewBox="0 0 {scene.width:.0f} {scene.height:.0f}"'
    frames = [box for box in scene.boxes if box.radius == 8]
    nodes = [box for box in scene.boxes if box.radius != 8]
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} font-family="{escape(FACE, {chr(34): "&quot;"})}">',
        '<defs><marker id="end" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
        '<path d="M0 0L8 4L0 8z" fill="context-stroke"/></marker></defs>',
        f'<rect width="{scene.width:.0f}" height="{scene.height:.0f}" fill="#ffffff"/>',
        *map(_box, frames),
        *map(_wire, scene.wires),
        *map(_box, nodes),
        *map(_text, scene.texts),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _box(box: Box) -> str:
    dash = ' stroke-dasharray="5 4"' if box.dashed else ""
    shape = f'x="{box.x:.1f}" y="{box.y:.1f}" width="{box.width:.1f}" height="{box.height:.1f}" rx="{box.radius:g}"'
    hint = f"<title>{escape(_clean(box.hint))}</title>" if box.hint else ""
    return f'<rect {shape} fill="{box.fill}" stroke="{box.stroke}"{dash}>{hint}</rect>'


def _text(text: Text) -> str:
    weight = ' font-weight="600"' if text.bold else ""
    halo = ' stroke="#ffffff" stroke-width="2.5" paint-order="stroke" stroke-linejoin="round"' if text.halo else ""
    place = f'x="{text.x:.1f}" y="{text.y:.1f}" font-size="{text.size:g}" text-anchor={quoteattr(text.anchor)}'
    return f'<text {place} fill="{text.color}"{weight}{halo}>{escape(_clean(text.text))}</text>'


def _wire(wire: Wire) -> str:
    dash = ' stroke-dasharray="4 3"' if wire.dashed else ""
    return f'<path d="{path(wire)}" fill="none" stroke="{wire.color}" stroke-width="1.3"{dash} marker-end="url(#end)"/>'


def path(wire: Wire) -> str:
    """Across a gap between layers an S curve, through a layer a straight line."""
    (x, y), *rest = wire.points
    out = [f"M{x:.1f} {y:.1f}"]
    for i, (nx, ny) in enumerate(rest):
        bend = (y + ny) / 2
        curve = f"C{x:.1f} {bend:.1f} {nx:.1f} {bend:.1f} {nx:.1f} {ny:.1f}"
        out.append(curve if i % 2 == 0 else f"L{nx:.1f} {ny:.1f}")
        x, y = nx, ny
    return "".join(out)


def _clean(text: str) -> str:
    """Characters that XML cannot hold, replaced."""
    return _FORBIDDEN.sub("\ufffd", text)
