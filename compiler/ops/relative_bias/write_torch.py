"""`relative_bias` in PyTorch: table rows once for all layers, the bias where the table is."""

from collections.abc import Mapping
from typing import Any

from compiler.emit.torch.writer import Writer
from compiler.ir.graph import Node
from compiler.ops.attention.write_torch import span_of

HELPERS = "compiler.ops.relative_bias.torch_helpers"


def write(w: Writer, node: Node) -> None:
    if spacing := w.attr(node, "spacing"):  # rows that are as many as no stream is
        w.helper("spaced_offsets", HELPERS)
        offset = f"spaced_offsets({w.read(node, 0)}, {w.read(node, 1)}, {spacing})"
        w.line(f"{(rows := w.local('buckets'))} = {row_of(w, node.attrs['distance'], offset)}")
    else:
        rows = table_rows(w, node, node.attrs["distance"])
    w.set(node, f"F.embedding({rows}, {w.param(node, 'weight')}).permute(2, 0, 1)[None]")


def table_rows(w: Writer, node: Node, distance: Mapping[str, Any]) -> str:
    """The variable of each pair's table row (S, K)."""
    w.helper("distances", HELPERS)
    if w.steps:
        span = span_of(w, node)
        offset, inputs = f"distances({span}.i, {span}.j)", []
    else:
        offset, inputs = "distances(*[torch.arange({0}.shape[1], device={0}.device)] * 2)", [w.stream]
    return w.once("buckets", row_of(w, distance, offset), *inputs)


def row_of(w: Writer, distance: Mapping[str, Any], offset: str) -> str:
    """Expression of the table row of each offset j - i."""
    match distance["type"]:
        case "log_buckets":
            w.helper("log_buckets", HELPERS)
            two = distance.get("sides", 2) == 2
            return f"log_buckets({offset}, {distance['buckets']}, {distance['max']}, {two})"
        case "exact":
            return f"{offset}.clamp(-{distance['max']}, {distance['max']}) + {distance['max']}"
        case _:
            return f"{offset}.clamp(-{distance['left']}, {distance['right']}) + {distance['left']}"
