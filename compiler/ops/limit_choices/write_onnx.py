"""Places in experts as plain arithmetic: every choice's number in its expert's queue, by one running sum.

The queue holds all first choices in sequence order, then all second ones: (B, K·S) in that order.
"""

import numpy as np

from compiler.emit.onnx.writer import Writer
from compiler.ir.graph import Node
from compiler.ir.types import TensorType
from compiler.ops.base import Attrs
from compiler.ops.limit_choices.shape import OP

FIELDS = ("n_experts", "top_k", "capacity", "above", "share")
STATE = "own"


def write(w: Writer, node: Node) -> str:
    weights, share = _placed(w, node), node.attrs.get("share")
    if share is None:
        return weights
    total = w.op("Add", w.op("ReduceSum", weights, w.ints(-1), keepdims=1), w.number(share))
    some = w.op("Where", w.op("Equal", total, w.number(0.0)), w.number(1.0), total)
    return w.op("Div", weights, some)


def _placed(w: Writer, node: Node) -> str:
    """The weights of choices that found a place, 0 for the others."""
    weights, index = w.inputs
    capacity, above, k = node.attrs.get("capacity"), node.attrs.get("above"), node.attrs["top_k"]
    real = ""
    if above is not None:
        first = w.numbers(np.arange(k) == 0, "bool")
        real = w.op("Or", w.op("Greater", weights, w.number(above)), first)  # (B, S, K)
        weights = w.op("Where", real, weights, w.number(0.0))
    if capacity is None:
        return weights
    if capacity.get("over", "sequence") == "batch":
        index, real = (w.op("Reshape", x, w.ints(1, -1, k)) if x else "" for x in (index, real))
    fits = _fits(w, index, real, node.attrs)
    if capacity.get("over", "sequence") == "batch":
        fits = w.op("Reshape", fits, w.op("Shape", weights))
    return w.op("Where", fits, weights, w.number(0.0))


def _fits(w: Writer, index: str, real: str, attrs: Attrs) -> str:
    """(B, S, K) bool: the choice found a place. index: (B, S, K); real: choices that ask for one, "" for all."""
    experts, k = attrs["n_experts"], attrs["top_k"]
    queue = w.op("Reshape", w.op("Transpose", index, perm=[0, 2, 1]), w.ints(0, -1, 1))  # (B, K·S, 1)
    asks = w.op("Equal", queue, w.numbers(np.arange(experts), "int"))  # (B, K·S, E)
    if real:
        asking = w.op("Transpose", real, perm=[0, 2, 1])
        asks = w.op("And", asks, w.op("Reshape", asking, w.ints(0, -1, 1)))
    number = w.op("CumSum", w.cast(asks, "int"), w.whole(1))
    if OP.state(w.types, attrs):
        kept = TensorType("int", (w.types[0].shape[0], experts))
        past = w.before("taken", kept)
        number = w.op("Add", number, w.op("Unsqueeze", past, w.ints(1)))
        last = w.op("Slice", number, w.ints(-1), w.ints(2**31 - 1), w.ints(1))
        w.after("taken", kept, past, w.op("Squeeze", last, w.ints(1)))
    placed = w.op("And", asks, w.op("LessOrEqual", number, _places(w, index, attrs)))
    some = w.op("ReduceMax", w.cast(placed, "int32"), w.ints(-1), keepdims=0)  # (B, K·S)
    by_choice = w.op("Reshape", w.cast(some, "bool"), w.ints(0, k, -1))
    return w.op("Transpose", by_choice, perm=[0, 2, 1])


def _places(w: Writer, index: str, attrs: Attrs) -> str:
    """Places in each expert, a vector of one; in float64, as `shape.places` computes it."""
    capacity = attrs["capacity"]
    if capacity["type"] == "tokens":
        return w.ints(capacity["per_expert"])
    tokens = w.op("Shape", index, start=1, end=2)
    wide = w.cast(tokens, "fp64")
    if capacity["type"] == "fraction":
        return w.cast(w.op("Ceil", w.op("Mul", wide, w.numbers(capacity["fraction"], "fp64"))), "int")
    share = w.op("Div", w.op("Mul", wide, w.numbers(capacity["factor"], "fp64")), w.numbers(attrs["n_experts"], "fp64"))
    limit = w.op("Min", tokens, w.cast(w.op("Floor", share), "int"))
    return w.op("Max", limit, w.ints(int(capacity.get("min", 0))))
