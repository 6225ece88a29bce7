"""A program as a scene: the main graph from top to bottom, every distinct block once inside its frame."""

from dataclasses import dataclass

from compiler.draw.kinds import COLOURS, details, kind, title
from compiler.draw.layers import Edge, Layout, arrange
from compiler.draw.scene import Box, Scene, Text, Wire, text_width
from compiler.ir.graph import Graph, Node
from compiler.ir.program import Program, block_runs
from compiler.ir.types import TensorType

MARGIN, PAD, TITLE, LINE, SHOWN = 24.0, 18.0, 26.0, 15.0, 4
FAINT, INK, PAPER = "#64748b", "#0f172a", "#ffffff"
FRAMES = ("#f8fafc", "#f1f5f9")


@dataclass
class Drawn:
    """One graph laid out: what has to be drawn when its place is known."""

    program: Program
    graph: Graph
    layout: Layout
    inner: dict[str, list["Drawn"]]  # a repeat's node -> its blocks


def picture(program: Program, heading: str = "") -> Scene:
    """The scene of a checked program; `heading` stands under its name."""
    scene = Scene()
    top = MARGIN
    scene.texts.append(Text(MARGIN, top + 14, program.name, 18, INK, "start", True))
    scene.texts.append(Text(MARGIN, top + 34, heading, 12, FAINT, "start"))
    top += 54
    drawn = _lay_out(program, program.main)
    width = max(drawn.layout.width, text_width(heading, 12), 420)
    _draw(scene, drawn, MARGIN + (width - drawn.layout.width) / 2, top)
    scene.width = width + 2 * MARGIN
    scene.height = top + drawn.layout.height + MARGIN
    _legend(scene, program, width)
    return scene


def _lay_out(program: Program, graph: Graph) -> Drawn:
    inner = {
        node.name: [_lay_out(program, program.blocks[name]) for name in _blocks(node)[:SHOWN]]
        for node in graph.nodes
        if node.op == "repeat"
    }
    sizes = {f"in {name}": _pill(name, graph) for name in graph.inputs if graph.users(name) or name in graph.outputs}
    sizes |= {
        node.name: _frame(inner[node.name]) if node.op == "repeat" else _size(node, graph) for node in graph.nodes
    }
    sizes |= {f"out {i}": _pill(name, graph) for i, name in enumerate(graph.outputs)}
    edges: list[Edge] = []
    for node in graph.nodes:
        edges += [(_maker(graph, value), node.name, value) for value in dict.fromkeys(node.inputs) if value]
    edges += [(_maker(graph, value), f"out {i}", value) for i, value in enumerate(graph.outputs)]
    minor = frozenset(name for name, type_ in graph.types.items() if type_.dtype != "float")
    return Drawn(program, graph, arrange(sizes, edges, minor), inner)


def _maker(graph: Graph, value: str) -> str:
    node = graph.producer(value)
    return node.name if node else f"in {value}"


def _blocks(node: Node) -> list[str]:
    return list(dict.fromkeys(name for name, _ in block_runs(node)))


def _pill(name: str, graph: Graph) -> tuple[float, float]:
    return max(text_width(name, 11), text_width(_shape(graph.types[name]), 9)) + 26, 34


def _size(node: Node, graph: Graph) -> tuple[float, float]:
    lines = _lines(node, graph)
    width = max(text_width(text, size, bold) for text, size, bold, _ in lines)
    return max(70, width + 20), len(lines) * LINE + 10


def _lines(node: Node, graph: Graph) -> list[tuple[str, float, bool, str]]:
    """Text, size, bold, colour."""
    said = details(node, graph)
    lines = [(title(node), 12.0, True, INK), *([(said, 11.0, False, INK)] if said else [])]
    return [*lines, (node.name, 9.0, False, FAINT)]


def _frame(blocks: list[Drawn]) -> tuple[float, float]:
    """Blocks side by side, each in a frame of its own."""
    width = sum(max(b.layout.width, 200) + 2 * PAD for b in blocks) + PAD * (len(blocks) + 1)
    height = max(b.layout.height for b in blocks) + 2 * PAD + TITLE
    return (width, height + 2 * PAD + TITLE) if len(blocks) > 1 else (width - 2 * PAD, height)


def _draw(scene: Scene, drawn: Drawn, left: float, top: float, depth: int = 0) -> None:
    graph, layout = drawn.graph, drawn.layout
    for name, (x, y) in layout.places.items():
        node = graph.producer(name)
        if node is None:
            _draw_pill(scene, name, drawn, left + x, top + y)
        elif node.op == "repeat":
            _draw_region(scene, node, drawn, left + x, top + y, depth)
        else:
            _draw_node(scene, node, graph, left + x, top + y)
    labelled: set[str] = set()
    for (start, _, value), points in layout.routes.items():
        moved = tuple((x + left, y + top) for x, y in points)
        stream = graph.types[value].dtype == "float"
        scene.wires.append(Wire(moved, FAINT if stream else "#94a3b8", not stream))
        if stream and value not in labelled and not start.startswith("in "):
            labelled.add(value)
            aside = moved[0][0] < left + layout.places[start][0]  # the left one of two outputs
            x, y = moved[0][0] + (-5 if aside else 5), moved[0][1] + 11
            scene.texts.append(Text(x, y, _shape(graph.types[value]), 9, FAINT, "end" if aside else "start", halo=True))


def _draw_pill(scene: Scene, key: str, drawn: Drawn, x: float, y: float) -> None:
    graph = drawn.graph
    name = key[3:] if key.startswith("in ") else graph.outputs[int(key[4:])]
    width, height = _pill(name, graph)
    type_ = graph.types[name]
    scene.boxes.append(Box(x - width / 2, y, width, height, PAPER, FAINT, 17, hint=f"{name}: {type_}"))
    scene.texts.append(Text(x, y + 15, name, 11))
    scene.texts.append(Text(x, y + 27, _shape(type_), 9, FAINT))


def _draw_node(scene: Scene, node: Node, graph: Graph, x: float, y: float) -> None:
    width, height = _size(node, graph)
    params = [f"{role}: {path}" for role, path in node.params.items()]
    hint = "\n".join([", ".join(node.outputs), *params])
    scene.boxes.append(Box(x - width / 2, y, width, height, COLOURS[kind(node)], hint=hint))
    for i, (text, size, bold, colour) in enumerate(_lines(node, graph)):
        scene.texts.append(Text(x, y + 16 + i * LINE, text, size, colour, "middle", bold))


def _draw_region(scene: Scene, node: Node, drawn: Drawn, x: float, y: float, depth: int) -> None:
    blocks = drawn.inner[node.name]
    width, height = _frame(blocks)
    left, counts = x - width / 2, drawn.program.counts()
    names = _blocks(node)
    if len(blocks) > 1:
        total = sum(count for _, count in block_runs(node))
        more = f", {len(names) - len(blocks)} of them not drawn" if len(names) > len(blocks) else ""
        scene.boxes.append(Box(left, y, width, height, FRAMES[0], FAINT, 8, True))
        scene.texts.append(
            Text(left + PAD, y + 18, f"{total} layers of {len(names)} kinds{more}", 13, INK, "start", True)
        )
        left, y, height = left + PAD, y + TITLE + PAD / 2, height - TITLE - 2 * PAD
    for block in blocks:
        inner = max(block.layout.width, 200) + 2 * PAD
        scene.boxes.append(Box(left, y, inner, height, FRAMES[1], FAINT, 8))
        name = block.graph.name
        scene.texts.append(Text(left + PAD, y + 19, f"{name} × {counts[name]}", 13, INK, "start", True))
        middle = left + (inner - block.layout.width) / 2
        _draw(scene, block, middle, y + TITLE + PAD / 2, depth + 1)
        left += inner + PAD


def _shape(type_: TensorType) -> str:
    return " × ".join(str(dim) for dim in type_.shape)


def _legend(scene: Scene, program: Program, width: float) -> None:
    """Colours in use, and the letters of shapes."""
    used = {kind(node) for graph in program.graphs() for node in graph.nodes if node.op != "repeat"}
    x, y = MARGIN, scene.height
    for name, colour in COLOURS.items():
        if name not in used:
            continue
        wide = text_width(name, 11) + 34
        if x + wide > MARGIN + width:
            x, y = MARGIN, y + 20
        scene.boxes.append(Box(x, y - 10, 12, 12, colour, radius=3))
        scene.texts.append(Text(x + 17, y, name, 11, INK, "start"))
        x += wide
    letters = "B sequences, S new tokens, T all tokens; dashed: ids, masks and positions"
    scene.texts.append(Text(MARGIN, y + 20, letters, 10, FAINT, "start"))
    scene.height = y + 20 + MARGIN
