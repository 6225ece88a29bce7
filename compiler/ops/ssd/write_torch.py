"""`ssd` in PyTorch."""

from compiler.emit.torch.writer import Writer
from compiler.ir.graph import Node


def write(w: Writer, node: Node) -> None:
    w.helper("scan_states")
    past = w.cache(node)[0] if w.steps else "None"
    inputs = [w.read(node, i) for i in range(4)]
    inputs += [w.param(node, role) for role in ("a_log", "d", "dt_bias")]
    limit = w.attr(node, "dt_limit")
    inputs += [past, repr(w.attr(node, "n_groups"))]
    inputs += [] if limit is None else [f"({', '.join(_number(bound) for bound in limit)})"]
    w.set(node, f"scan_states({', '.join(inputs)})")


def _number(value: float) -> str:
    return 'float("inf")' if value == float("inf") else repr(float(value))
