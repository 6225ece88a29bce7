"""What a picture is made of. Units are pixels, y grows downwards."""

from dataclasses import dataclass, field

Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle with round corners; `hint` shows when the mouse rests on it."""

    x: float
    y: float
    width: float
    height: float
    fill: str
    stroke: str = "#475569"
    radius: float = 5
    dashed: bool = False
    hint: str = ""


@dataclass(frozen=True, slots=True)
class Text:
    """One line around (x, y), its baseline; anchor "start", "middle" or "end"."""

    x: float
    y: float
    text: str
    size: float = 12
    color: str = "#0f172a"
    anchor: str = "middle"
    bold: bool = False
    halo: bool = False  # white around the letters, where lines pass below


@dataclass(frozen=True, slots=True)
class Wire:
    """A line through points, straight on even stretches and bent in an S on odd ones (see `layers`), with an arrow."""

    points: tuple[Point, ...]
    color: str = "#64748b"
    dashed: bool = False


@dataclass
class Scene:
    width: float = 0
    height: float = 0
    wires: list[Wire] = field(default_factory=list)
    boxes: list[Box] = field(default_factory=list)
    texts: list[Text] = field(default_factory=list)


def text_width(text: str, size: float, bold: bool = False) -> float:
    """About how wide a line of a sans-serif face is."""
    return len(text) * size * (0.6 if bold else 0.555)
