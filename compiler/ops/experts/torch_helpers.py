"""Text for generated files: a mixture of experts."""

from collections.abc import Callable

import torch
from torch import Tensor


def run_experts(
    expert: Callable[..., Tensor],
    parts: tuple[Tensor, ...],
    x: Tensor,
    weights: Tensor,
    index: Tensor,
    weigh_input: bool = False,
    dropped: bool = False,
    identities: bool = False,
) -> Tensor:
    """Each token through its chosen experts: x (B, S, d), weights and index (B, S, K) -> (B, S, d).

    expert(tokens, *its parts); parts: parameters of all experts, (E, ...) each. weights multiply outputs or inputs.
    dropped: choices of weight 0 give nothing, whatever an expert makes of a token times 0. identities: an index from E
    on gives the token itself times its weight.
    """
    if identities:  # asked of an expert too, whose answer counts nothing
        other = index >= len(parts[0])
        itself = x * weights.masked_fill(~other, 0).sum(-1, keepdim=True)
        weights, index = weights.masked_fill(other, 0), index.masked_fill(other, 0)
        return itself + run_experts(expert, parts, x, weights, index, weigh_input, True)
    if x.shape[0] * x.shape[1] > 1 or not (x.is_cuda or torch.compiler.is_compiling()):
        return run_hit_experts(expert, parts, x, weights, index, weigh_input, dropped)
    # One token: its experts side by side, without asking the device which ones they are.
    own = [part[index.flatten()] for part in parts]
    own = [part if part.dim() == 3 else part[:, None] for part in own]
    weight, token = weights.flatten()[:, None, None], x.flatten(0, 1)[None]  # (K, 1, 1), (1, 1, d)
    y = expert(token * weight, *own) if weigh_input else expert(token.expand(len(own[0]), -1, -1), *own) * weight
    if dropped and weigh_input:
        y = y.masked_fill(weight == 0, 0)
    return y.sum(0).view_as(x)


@torch.compiler.disable  # which experts are hit depends on the data
def run_hit_experts(
    expert: Callable[..., Tensor],
    parts: tuple[Tensor, ...],
    x: Tensor,
    weights: Tensor,
    index: Tensor,
    weigh_input: bool,
    dropped: bool,
) -> Tensor:
    """The same, one expert after the other with all its tokens; experts that no token chose are not touched."""
    tokens, chosen, flat = x.flatten(0, 1), index.flatten(), weights.flatten()
    if dropped:  # sorted behind all experts
        chosen = chosen.masked_fill(flat == 0, len(parts[0]))
    order = chosen.argsort(stable=True)  # places in `chosen`, expert by expert
    counts = chosen.bincount(minlength=len(parts[0]) + dropped).tolist()[: len(parts[0])]
    order = order[: sum(counts)]
    out = torch.zeros_like(tokens)
    for e, mine in enumerate(order.split(counts)):
        if len(mine) == 0:
            continue
        rows, weight = mine // index.shape[-1], flat[mine, None]
        given = tokens[rows]
        y = expert(given * weight if weigh_input else given, *(part[e] for part in parts))
        out.index_add_(0, rows, y if weigh_input else y * weight)
    return out.view_as(x)
