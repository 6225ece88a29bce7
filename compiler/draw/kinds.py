"""How a node is shown: its colour by kind, and one or two short lines."""

from collections.abc import Mapping
from typing import Any

from compiler import ops
from compiler.ir.graph import Graph, Node

# kind (of operators, `Op.kind`) -> fill, in the order of the legend
COLOURS = {
    "matrix product": "#bfdbfe",
    "attention": "#fed7aa",
    "recurrence": "#fbcfe8",
    "norm": "#bbf7d0",
    "elementwise": "#fef08a",
    "table": "#ddd6fe",
    "choice of experts": "#fecaca",
    "shape and position": "#e2e8f0",
}


def kind(node: Node) -> str:
    return ops.get(node.op).kind


def title(node: Node) -> str:
    return node.op.replace("_", " ")


def details(node: Node, graph: Graph) -> str:
    """The numbers that matter, in a few words."""
    a = node.attrs
    match node.op:
        case "linear":
            extra = ["bias"] if a.get("bias") else []
            extra += [a["activation"]] if a.get("activation") else []
            return f"{graph.types[node.inputs[0]].shape[-1]} → {a['width']}" + "".join(f", {e}" for e in extra)
        case "embedding":
            return f"{a['rows']} × {a['width']}"
        case "grouped_query_attention":
            parts = [f"{a['heads']} heads over {a['kv_heads']}", mask_text(a["mask"])]
            parts += ["rotary"] if a.get("rope") else []
            parts += ["q, k normed"] if a.get("qk_norm") else []
            return ", ".join(parts)
        case "attention":
            heads, groups = (graph.types[v].shape[1] for v in node.inputs[:2])
            return f"{heads} heads over {groups}, {mask_text(a['mask'])}" + (", other stack" if a.get("cross") else "")
        case "split":
            return " | ".join(map(str, a["sizes"]))
        case "activation" | "gated_activation":
            return str(a["function"])
        case "add" | "add_norm":
            factors = (
                [] if a.get("left", 1) == a.get("right", 1) == 1 else [f"{a.get('left', 1)}·, {a.get('right', 1)}·"]
            )
            return ", ".join([*factors, *([a["norm"].replace("_", " ")] if node.op == "add_norm" else [])])
        case "rope":
            return f"theta {a['theta']:g}, {a['dims']} dims"
        case "scale":
            return f"× {a['by']:.4g}" + (f" + {a['plus']:g}" if a.get("plus") else "")
    return ", ".join(_plain(node.op, a))


def _plain(op: str, attrs: Mapping[str, Any]) -> list[str]:
    """Up to three fields that are short and not the default."""
    fields = ops.get(op).fields
    said = [
        f"{name} {value:g}" if isinstance(value, float) else f"{name} {value}"
        for name, value in attrs.items()
        if isinstance(value, int | float | str) and not isinstance(value, bool) and value not in ("", fields.get(name))
        if name not in ("eps", "at_least", "given")
    ]
    return said[:3]


def mask_text(mask: Mapping[str, Any]) -> str:
    """A mask in words."""
    match mask["type"]:
        case "window":
            behind, ahead = mask.get("behind"), mask.get("ahead", 0)
            unit = f" blocks of {mask['block']}" if mask.get("block", 1) > 1 else ""
            sees = "all" if behind is None else behind
            return f"window {sees}{unit}" + (f" + {ahead}" if ahead else "")
        case "and" | "or":
            return f" {mask['type']} ".join(mask_text(m) for m in mask["of"])
        case "not":
            return f"not {mask_text(mask['of'])}"
        case "keys" | "queries":
            return f"{mask['type']} {mask['of']['type']}"
        case "by_length":
            return f"{mask_text(mask['then'])} up to {mask['up_to']}, then {mask_text(mask['otherwise'])}"
    return str(mask["type"]).replace("_", " ")
