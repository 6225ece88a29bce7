"""`latent_attention` in PyTorch: only latents and rotary keys are kept."""

from compiler.emit.torch.writer import Writer
from compiler.ir.graph import Node
from compiler.ops.attention.torch_blocks import narrowed
from compiler.ops.attention.write_torch import view


def write(w: Writer, node: Node) -> None:
    q, named = w.read(node, 0), dict(zip(w.attr(node, "mask_inputs"), node.inputs[4:], strict=True))
    span, mask, causal = view(w, node, node.inputs[3], named)
    c, k_rope = w.read(node, 1), w.read(node, 2)
    if span:
        w.helper("keep_latents")
        past = w.cache(node)
        rank, width = (w.type(value).shape[-1] for value in node.inputs[1:3])
        latents, keys = w.local("latents"), w.local("keys")
        call = f"keep_latents({span}, {past[0]}, {past[1]}, {c}, {k_rope})"
        w.line(f"{latents}, {keys} = {call}", f"(B, K, {rank}), (B, 1, K, {width})")
        c, k_rope = latents, keys
    mask, causal = narrowed(w, node, (q, ""), node.inputs[3], named, (span, mask, causal))
    w.helper("attend_latents")
    nope, scale = node.attrs["d_nope"], float(node.attrs["scale"])
    kv_up = w.param(node, "kv_up")
    w.set(node, f"attend_latents({q}, {c}, {k_rope}, {kv_up}, {nope}, {mask}, {causal}, {scale!r})")
