"""`adaptive_embedding` in PyTorch."""

from compiler.emit.torch.writer import RUNTIME, Writer, quoted
from compiler.ir.graph import Node
from compiler.ops.adaptive_embedding.shape import clusters


def write(w: Writer, node: Node) -> None:
    ids, parts = w.read(node, 0), []
    w.file.helper("check_ids", f"{RUNTIME}.base")
    w.line(f"check_ids({ids}, {node.attrs['rows']}, {quoted(ids)})")
    w.helper("embed_cluster")
    for c, (low, high, _) in enumerate(clusters(node.attrs)):
        tables = [w.param(node, role) for role in (f"table_{c}", f"projection_{c}") if role in node.params]
        parts.append(f"embed_cluster({ids}, {low}, {high}, {', '.join(tables)})")
    w.set(node, " + ".join(parts))
