"""`running_feature_attention` in PyTorch: a state in chunks of tokens."""

from compiler.emit.torch.writer import Writer
from compiler.ir.graph import Node


def write(w: Writer, node: Node) -> None:
    q, k, v, real = (w.read(node, i) for i in range(4))
    past = w.cache(node) if w.steps else ["None"] * 4
    sums = w.local("sums")
    w.helper("running_feature_attention")
    w.helper("features_shares")
    given = [q, k, v, real, w.param(node, "projection"), repr(float(node.attrs["eps"])), *past]
    w.line(f"{sums} = running_feature_attention({', '.join(given)})", "(B, H, S, V + 1)")
    eps, on_keys = w.attr(node, "key_sum"), w.attr(node, "eps_at") == "keys"
    share = None if eps is None else float(eps)
    w.set(node, f"features_shares({sums}, {q}, {float(node.attrs['scale'])!r}, {share!r}, {on_keys})", keeps=2)
