"""`adaptive_embedding` in PyTorch."""

from compiler.emit.torch.writer import Writer
from compiler.ir.graph import Node
from compiler.ops.adaptive_embedding.shape import clusters


def write(w: Writer, node: Node) -> None:
    ids, parts = w.read(node, 0), list[str]()
    w.helper("embed_cluster")
    for c, (low, high, _) in enumerate(clusters(node.attrs)):
        tables = [w.param(node, role) for role in (f"table_{c}", f"projection_{c}") if role in node.params]
        parts.append(w.local("cluster"))
        w.line(f"{parts[-1]} = embed_cluster({ids}, {low}, {high}, {', '.join(tables)})", "(B, S, d)")
    w.set(node, " + ".join(parts))
