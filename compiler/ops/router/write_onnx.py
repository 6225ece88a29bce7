"""TopK over the scores in fp32; the weights of the chosen ones from the unbiased scores."""

import numpy as np

from compiler.emit.onnx.writer import Writer
from compiler.ir.graph import Node
from compiler.ops.base import Attrs

FIELDS = (
    "top_k",
    "score",
    "select_bias",
    "groups",
    "groups_keep",
    "groups_score",
    "weights",
    "eps",
    "scale",
    "at_least",
)


def write(w: Writer, node: Node) -> tuple[str, str]:
    attrs = node.attrs
    logits = w.cast(w.inputs[0], "fp32")
    match attrs.get("score", "softmax"):
        case "softmax":
            scores = w.op("Softmax", logits, axis=-1)
        case "sigmoid":
            scores = w.op("Sigmoid", logits)
        case "logits":
            scores = logits
        case other:
            w.refuse(f"score {other!r}")
    choice = w.op("Add", scores, w.cast(w.param("select_bias"), "fp32")) if attrs.get("select_bias") else scores
    if attrs.get("groups"):
        choice = _kept_groups(w, choice, attrs, int(w.types[0].shape[-1]))
    _, index = w.many("TopK", choice, w.ints(attrs["top_k"]), outputs=2, axis=-1)
    weights = w.op("GatherElements", scores, index, axis=-1)
    match attrs.get("weights", "as_scored"):
        case "sum_to_one":
            total = w.op("ReduceSum", weights, w.ints(-1), keepdims=1)
            eps = attrs.get("eps", 0)
            weights = w.op("Div", weights, w.op("Add", total, w.single(eps)) if eps else total)
        case "softmax_selected":
            weights = w.op("Softmax", weights, axis=-1)
        case "as_scored":
            pass
        case other:
            w.refuse(f"weights {other!r}")
    if attrs.get("scale", 1) != 1:
        weights = w.op("Mul", weights, w.single(attrs["scale"]))
    weights = w.float(weights)
    w.routed[weights] = (w.inputs[0], attrs)  # the experts may have an operator that routes by itself
    return weights, index


def _kept_groups(w: Writer, choice: str, attrs: Attrs, experts: int) -> str:
    """choice (B, S, E), minus infinity outside the best groups."""
    groups, best = attrs["groups"], 1 if attrs.get("groups_score", "max") == "max" else 2
    grouped = w.op("Reshape", choice, w.ints(0, 0, groups, experts // groups))
    top, _ = w.many("TopK", grouped, w.ints(best), outputs=2, axis=-1)
    total = w.op("ReduceSum", top, w.ints(-1), keepdims=0)  # (B, S, groups)
    _, kept = w.many("TopK", total, w.ints(attrs["groups_keep"]), outputs=2, axis=-1)
    numbers = w.numbers(np.arange(groups), "int")
    same = w.op("Equal", w.op("Unsqueeze", kept, w.ints(-1)), numbers)  # (B, S, keep, groups)
    some = w.cast(w.op("ReduceMax", w.cast(same, "int32"), w.ints(2), keepdims=0), "bool")
    hidden = w.op("Where", w.op("Unsqueeze", some, w.ints(-1)), grouped, w.single(-np.inf))
    return w.op("Reshape", hidden, w.ints(0, 0, experts))
