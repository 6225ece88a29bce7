"""Activations: ONNX Runtime's fused ones where it has them, else the formula in standard operators."""

from compiler.emit.onnx.writer import Writer
from compiler.ir.graph import Node

FIELDS = ("function",)


def write(w: Writer, node: Node) -> str:
    return apply(w, w.inputs[0], node.attrs["function"])


def apply(w: Writer, x: str, function: str) -> str:
    """function(x), any shape."""
    match function:
        case "identity":
            return x
        case "relu":
            return w.op("Relu", x)
        case "relu2":
            y = w.op("Relu", x)
            return w.op("Mul", y, y)
        case "relu6":
            return w.op("Clip", x, w.number(0.0), w.number(6.0))
        case "leaky_relu":
            return w.op("LeakyRelu", x, alpha=0.01)
        case "elu":
            return w.op("Elu", x)
        case "mish":
            return w.op("Mish", x)
        case "gelu":
            return w.op("Gelu", x, approximate="none")
        case "gelu_tanh":
            return w.fused("FastGelu", x) if w.target.has("FastGelu") else w.op("Gelu", x, approximate="tanh")
        case "gelu_quick":
            return _sigmoid_times(w, x, 1.702)
        case "silu":
            return _sigmoid_times(w, x, 1.0)
        case "sigmoid":
            return w.op("Sigmoid", x)
        case "tanh":
            return w.op("Tanh", x)
        case "softplus":
            return w.op("Softplus", x)
        case "elu_plus_one":
            return w.op("Add", w.op("Elu", x), w.number(1.0))
        case "exp":
            return w.op("Exp", x)
        case "softmax":
            return w.op("Softmax", x, axis=-1)
    w.refuse(f"activation {function!r}")


def with_bias(w: Writer, x: str, bias: str, function: str) -> str:
    """function(x + bias), bias (width,)."""
    if function == "gelu" and w.target.has("BiasGelu"):
        return w.fused("BiasGelu", x, bias)
    if function == "gelu_tanh" and w.target.has("FastGelu"):
        return w.fused("FastGelu", x, bias)
    return apply(w, w.op("Add", x, bias), function)


def _sigmoid_times(w: Writer, x: str, alpha: float) -> str:
    """x · sigmoid(alpha · x)."""
    if w.target.has("QuickGelu"):
        return w.fused("QuickGelu", x, alpha=alpha)
    gate = x if alpha == 1 else w.op("Mul", x, w.number(alpha))
    return w.op("Mul", x, w.op("Sigmoid", gate))
