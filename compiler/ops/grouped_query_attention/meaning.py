"""Reference meaning of `grouped_query_attention`."""

import torch
from torch import Tensor

from compiler import ops
from compiler.ops.base import Attrs
from compiler.ops.context import Context


def run(inputs: list[Tensor], params: dict[str, Tensor], attrs: Attrs, ctx: Context) -> tuple[Tensor, ...]:
    q, k, v, positions, key_mask = inputs
    heads, groups = attrs["heads"], attrs["kv_heads"]
    if not k.numel():  # packed [q | k | v]
        d = q.shape[-1] // (heads + 2 * groups)
        q, k, v = torch.split(q, [heads * d, groups * d, groups * d], -1)
    q = q.unflatten(-1, (heads, -1)).transpose(1, 2)  # (B, H, S, D)
    k = k.unflatten(-1, (groups, -1)).transpose(1, 2)  # (B, G, S, D)
    v = v.unflatten(-1, (groups, -1)).transpose(1, 2)  # (B, G, S, Dv)
    if (norm := attrs.get("qk_norm")) is not None:
        q, k = (_norm(x, norm, params, part, ctx) for x, part in ((q, "q_norm"), (k, "k_norm")))
    if (rope := attrs.get("rope")) is not None:
        q, k = (ops.meaning("rope").run([x, positions], {}, rope, ctx)[0] for x in (q, k))
    sink = {"sink": params["sink"]} if attrs.get("sink") else {}
    (y,) = ops.meaning("attention").run([q, k, v, key_mask], sink, attrs, ctx)  # (B, H, S, Dv)
    return (y.transpose(1, 2).flatten(2),)


def _norm(x: Tensor, norm: Attrs, params: dict[str, Tensor], part: str, ctx: Context) -> Tensor:
    own = {role.removeprefix(f"{part}."): p for role, p in params.items() if role.startswith(f"{part}.")}
    (y,) = ops.meaning(norm["norm"]).run([x], own, norm, ctx)
    return y
