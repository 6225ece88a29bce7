"""Multi-head latent attention: queries and keys-values through low ranks, one rotary key shared by all heads."""

from typing import Any

from compiler.lower import terms
from compiler.lower.context import Scope
from compiler.lower.masks import lowered, mask_inputs
from compiler.lower.pointwise import linear, norm
from compiler.lower.position import rope, temperature


def lower(s: Scope, op: Any, h: str, home: str, at: str) -> str:
    q = h
    if op.q_rank is not None:
        q = linear(s, q, op.q_rank, f"{home}.q_down", f"{at}.q_down", "q" in op.bias)
        q = norm(s, op.rank_norm, q, f"{home}.q_norm", f"{at}.q_norm") if op.rank_norm else q
    width = op.n_heads * (op.d_nope + op.d_rope)
    # With a rank, the bias of q sits on the down projection (transformers' DeepSeek: q_a_proj).
    q = linear(s, q, width, f"{home}.q", f"{at}.q", "q" in op.bias and op.q_rank is None)
    q = s.b.node("split_heads", q, at=f"{at}.q.heads", heads=op.n_heads)
    down = linear(s, h, op.kv_rank + op.d_rope, f"{home}.kv_down", f"{at}.kv_down", "k" in op.bias)
    c = s.b.node("split", down, at=at, outputs=("c", "k_rope"), sizes=[op.kv_rank, op.d_rope])
    k_rope = s.b.node("split_heads", f"{at}.k_rope", at=f"{at}.k_rope.heads", heads=1)
    if op.rank_norm is not None:
        c = norm(s, op.rank_norm, c, f"{home}.kv_norm", f"{at}.kv_norm")
    for i, term in enumerate(op.position):
        if term.type == "temperature":
            q, k_rope, _ = temperature.lower(s, term, q, k_rope, home, f"{at}.{terms.name(op, i)}")
            continue
        if term.type != "rope" or "v" in term.rotates:
            s.refuse(f"position {term.type!r} of latent attention or of its values", f"{at}/position/{i}")
        # The rotary slice ends each query head; the shared key is nothing else.
        q = rope.side(
            s, term.model_copy(update={"offset": op.d_nope + term.offset}), q, "q", f"{at}.{terms.name(op, i)}"
        )
        k_rope = rope.side(s, term, k_rope, "k", f"{at}.{terms.name(op, i)}")
    mask = lowered(s, op.mask, op.n_heads, at)
    names, given = mask_inputs(s, mask, q, k_rope)
    more: dict[str, Any] = {"mask_inputs": names} if names else {}
    y = s.b.node(
        "latent_attention", q, c, k_rope, s.capture("attention_mask"), *given, at=f"{at}.core",
        params={"kv_up": f"{home}.kv_up.weight"}, mask=mask, **more,
        scale=op.scale, d_nope=op.d_nope, d_value=op.d_value, at_least=s.at_least["softmax"],
    )  # fmt: skip
    y = s.b.node("merge_heads", y, at=f"{at}.joined")
    return linear(s, y, s.d_model, f"{home}.o", f"{at}.o", "o" in op.bias)
