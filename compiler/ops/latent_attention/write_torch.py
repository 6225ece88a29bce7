"""`latent_attention` in PyTorch: only latents and rotary keys are kept."""

from compiler.emit.torch.writer import Writer
from compiler.ir.graph import Node
from compiler.masks.facts import holds
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
    keys, kv_up, nope = "", w.param(node, "kv_up"), node.attrs["d_nope"]
    if holds(node.attrs["mask"], "top_blocks"):
        w.helper("keys_of_latents")
        keys, heads = w.local("keys"), w.type(node.inputs[0]).shape[1]
        w.line(f"{keys} = keys_of_latents({c}, {k_rope}, {kv_up}, {heads}, {nope})", "(B, H, K, D)")
    mask, causal = narrowed(w, node, (q, keys), node.inputs[3], named, (span, mask, causal))
    w.helper("attend_latents")
    scale = float(node.attrs["scale"])
    w.set(node, f"attend_latents({q}, {c}, {k_rope}, {kv_up}, {nope}, {mask}, {causal}, {scale!r})")
