"""`activation` in PyTorch."""

from compiler.emit.torch.writer import Writer
from compiler.ir.graph import Node


def call(w: Writer, kind: str, x: str) -> str:
    """The activation `kind` of expression x."""
    plain = {
        "relu": "F.relu({})", "gelu": "F.gelu({})", "gelu_tanh": 'F.gelu({}, approximate="tanh")', "silu": "F.silu({})",
        "sigmoid": "torch.sigmoid({})", "tanh": "torch.tanh({})", "softplus": "F.softplus({})",
        "elu_plus_one": "(F.elu({}) + 1)", "exp": "torch.exp({})", "softmax": "torch.softmax({}, -1)",
        "relu2": "F.relu({}).square()", "relu6": "F.relu6({})", "leaky_relu": "F.leaky_relu({})", "elu": "F.elu({})",
        "mish": "F.mish({})",
    }  # fmt: skip
    if kind == "gelu_quick":
        name = w.helper("quick_gelu", "compiler.ops.activation.torch_helpers")
        return f"{name}({x})"
    return x if kind == "identity" else plain[kind].format(x)


def write(w: Writer, node: Node) -> None:
    w.set(node, call(w, node.attrs["function"], w.read(node, 0)), keeps=0)
