"""Native sparse attention: attention to compressed, to selected and to near keys, gated and added up by head.

Positions turn the queries and keys of the selected and of the near ones; the compressed keys know their places by the
learned rows of the network that makes them.
"""

from typing import Any

from compiler.lower.context import Scope
from compiler.lower.pointwise import activation, learned_gate, linear
from compiler.lower.turning import turned

LEAST_SHARE = 1e-10  # blocks of less importance are not selected (native-sparse-attention-pytorch 0.2.3)


def lower(s: Scope, op: Any, h: str, home: str, at: str) -> str:
    heads = {"q": op.n_heads, "k": op.n_kv_heads, "v": op.n_kv_heads}
    flat = {role: linear(s, h, n * op.d_head, f"{home}.{role}", f"{at}.{role}", False) for role, n in heads.items()}
    q, k, v = (s.b.node("split_heads", flat[r], at=f"{at}.{r}.heads", heads=n) for r, n in heads.items())
    mask, scale = s.capture("attention_mask"), op.d_head**-0.5
    compressed, importance = _compressed(s, op, q, k, v, mask, home, at)
    q, k, v = turned(s, op.position, q, k, v, home, at)
    selected = s.b.node(
        "select_attention", q, k, v, importance, mask, at=f"{at}.selected", block=op.select.block,
        count=op.select.count, least_share=LEAST_SHARE, scale=scale, at_least=s.at_least["softmax"],
    )  # fmt: skip
    near = {"type": "and", "of": [{"type": "causal"}, op.window.model_dump(mode="json", exclude_none=True)]}
    window = s.b.node(
        "attention", q, k, v, mask, at=f"{at}.near", mask=near, scale=scale, at_least=s.at_least["softmax"]
    )
    parts = {"compressed": compressed, "selected": selected, "near": window}
    y = ""
    for name, part in parts.items():
        part = _gated(s, op.gate, part, h, name, home, f"{at}.gate.{name}")
        y = s.b.node("add", y, part, at=f"{at}.{name}.sum") if y else part
    y = s.b.node("merge_heads", y, at=f"{at}.joined")
    return linear(s, y, s.width(h), f"{home}.o", f"{at}.o", False)


def _compressed(s: Scope, op: Any, q: str, k: str, v: str, mask: str, home: str, at: str) -> tuple[str, str]:
    """What queries read of the compressed keys, and how important they find the blocks to select from."""
    rows, of = {}, op.compress
    for role, x in (("k", k), ("v", v)):
        path = f"{home}.compress.{role}"
        params = {"positions": f"{path}.positions.weight"} | {
            f"{layer}{suffix}": f"{path}.{layer}.{kind}"
            for layer in ("up", "down")
            for suffix, kind in (("", "weight"), ("_bias", "bias"))
        }
        rows[role] = s.b.node(
            "compress_blocks", x, mask, at=f"{at}.{role}.compressed", params=params, block=of.block, stride=of.stride,
            hidden=of.hidden, function=None if of.activation == "identity" else of.activation,
        )  # fmt: skip
    learned = {f"learned_{role}": f"{home}.learned.{role}.weight" for role in "kv"} if of.learned_keys else {}
    y = s.b.node(
        "block_attention", q, rows["k"], rows["v"], mask, at=at, outputs=("compressed", "importance"), params=learned,
        block=of.block, stride=of.stride, select=op.select.block, share=op.select.share, learned=of.learned_keys,
        scale=op.d_head**-0.5, at_least=s.at_least["softmax"],
    )  # fmt: skip
    return y, f"{at}.importance"


def _gated(s: Scope, gate: Any, y: str, h: str, name: str, home: str, at: str) -> str:
    """y (B, H, S, D) times fn(W h), one number for each head or for each channel; or times a learned fn(g), one number
    or one for each channel of all heads together."""
    _, heads, _, d_head = s.type_of(y).shape
    path = f"{s.owner(f'{home}.gate', gate.weights)}.{name}"
    if gate.type == "learned":
        if gate.of == "scalar":
            return learned_gate(s, gate, y, path, at)
        y = learned_gate(s, gate, s.b.node("merge_heads", y, at=f"{at}.joined"), path, at)
        return s.b.node("split_heads", y, at=f"{at}.heads", heads=heads)
    if gate.rank is not None:
        h = linear(s, h, gate.rank, f"{path}.down", f"{at}.down", False)
        path = f"{path}.up"
    width = int(heads) * (1 if gate.of == "head" else int(d_head))
    g = activation(s, gate.fn, linear(s, h, width, path, at, gate.bias), f"{at}.act")
    g = s.b.node("split_heads", g, at=f"{at}.heads", heads=heads)  # (B, H, S, 1 or D)
    return s.b.node("mul", y, g, at=f"{at}.product")
