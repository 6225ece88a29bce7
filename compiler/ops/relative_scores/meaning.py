"""Reference meaning of `relative_scores`."""

import torch
from torch import Tensor

from compiler import ops
from compiler.ops.base import Attrs
from compiler.ops.context import Context
from compiler.ops.relative_bias.meaning import bucket
from compiler.ops.sinusoid.shape import inverse_frequencies


def run(inputs: list[Tensor], params: dict[str, Tensor], attrs: Attrs, ctx: Context) -> tuple[Tensor, ...]:
    q, k = inputs[:2]
    new, total = q.shape[2], k.shape[2]
    if len(inputs) == 4:
        i, j = inputs[2:]
    else:
        i, j = torch.arange(total - new, total)[None], torch.arange(total)[None]
        i = i + inputs[2] if len(inputs) == 3 else i
    if attrs.get("spacing"):
        (q_stride, q_first), (k_stride, k_first) = attrs["spacing"]
        i, j = q_first + q_stride * torch.arange(new)[None], k_first + k_stride * torch.arange(total)[None]
    distance = i[:, :, None] - j[:, None, :]  # (1|B, S, T)
    if attrs.get("far"):
        distance = distance.clamp(0, attrs["far"] - 1)
    vectors, index = by_distance(distance, q.shape[1], params, attrs, q.dtype)
    index = index[:, None].expand(len(q), q.shape[1], new, total)
    query = torch.zeros_like(q)
    if "q_r" in attrs["terms"]:
        query = query + q
    if "v_r" in attrs["terms"]:
        query = query + params["v"][:, None]
    by_row = query @ vectors.mT  # (B, H, S, R)
    if "s" in attrs["terms"]:
        by_row = by_row + params["s"][:, None]
    scores = by_row.gather(-1, index)
    if "k_r" in attrs["terms"]:
        keys = k.repeat_interleave(q.shape[1] // k.shape[1], 1)
        scores = scores + (keys @ vectors.mT).gather(-1, index.mT).mT
    return (without_first(scores) if attrs.get("skip_first") else scores,)


def without_first(scores: Tensor) -> Tensor:
    """Zero for the first query and for the first key."""
    kept = torch.ones(scores.shape[-2:], dtype=scores.dtype)
    kept[0] = kept[:, 0] = 0
    return scores * kept


def by_distance(
    distance: Tensor, heads: int, params: dict[str, Tensor], attrs: Attrs, dtype: torch.dtype
) -> tuple[Tensor, Tensor]:
    """Vectors (H|1, R, D), and for each distance i - j the row that it takes."""
    vectors = attrs["vectors"]
    if vectors["type"] == "table":
        table = params["table"]
        if (norm := vectors.get("norm")) is not None:
            own = {role.removeprefix("norm."): p for role, p in params.items() if role.startswith("norm.")}
            table = ops.meaning(norm["norm"]).run([table], own, norm, Context())[0] * norm.get("by", 1)
        return table if table.dim() == 3 else table[None], bucket(vectors["distance"], -distance)
    low = int(distance.min())
    each = torch.arange(low, int(distance.max()) + 1)
    if vectors.get("clamp") is not None:
        each = each.clamp(-vectors["clamp"], vectors["clamp"])
    angle = each[:, None].to(dtype) * torch.tensor(
        inverse_frequencies({**vectors, "width": attrs["width"]}), dtype=dtype
    )
    parts = [angle.sin(), angle.cos()]
    waves = torch.cat(parts, -1) if vectors.get("layout", "halves") == "halves" else torch.stack(parts, -1).flatten(-2)
    if not attrs.get("projected", True):
        return waves[None], distance - low
    return (waves @ params["r"].T).unflatten(-1, (heads, -1)).transpose(0, 1), distance - low
