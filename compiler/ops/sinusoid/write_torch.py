"""`sinusoid` in PyTorch."""

from compiler.emit.torch.writer import Writer
from compiler.ir.graph import Node


def write(w: Writer, node: Node) -> None:
    half = node.attrs["width"] // 2
    last = max(half - 1, 1) if w.attr(node, "ladder") == "closed" else half
    inverse = w.buffer("sinusoid", f"[10000.0 ** (-i / {last}) for i in range({half})]")
    name = w.helper("sinusoid_halves" if w.attr(node, "layout") == "halves" else "sinusoid_pairs")
    offset = w.attr(node, "offset")
    at = w.read(node, 0) + (f" + {offset}" if offset else "")
    w.set(node, f"{name}({at}, self.{inverse}, self.dtype)")
