"""From a resolved spec and its program to what the quality prior looks at."""

import math
from math import prod

from archspec.spec.attention import Attention
from archspec.spec.mlp import GatedMlp, LinearOp, Mlp, Moe, ShiftedMlp
from archspec.spec.mlp import Identity as IdentityOp
from archspec.spec.resolved import Resolved, ResolvedStack, branch_names, branches
from compiler.cost.formats import Storage
from compiler.cost.parameters import OUTSIDE
from compiler.cost.sites import stored_copies
from compiler.ir.program import Program
from compiler.masks.facts import reach
from search.quality import AttentionLayer, Traits

_FEED_FORWARD = (Mlp, GatedMlp, ShiftedMlp, Moe)
_NEITHER = (LinearOp, IdentityOp)


def traits_of(resolved: Resolved, program: Program, active_parameters: int, storage: Storage, context: int) -> Traits:
    """`program`: as lowered, before any pass. active_parameters: used by one token, without embeddings and head.

    Layers of all stacks count; the width is that of the output stack.
    """
    attention: list[AttentionLayer] = []
    others = plain = feed_forward = 0
    for stack in resolved.stacks.values():
        for layer in stack.layers:
            for branch in branches(stack.bodies[layer.body]):
                op = branch.op
                if isinstance(op, Attention):
                    attention.append(AttentionLayer(op.n_heads / op.n_kv_heads, _window(op)))
                elif isinstance(op, _FEED_FORWARD):
                    feed_forward += 1
                    inner = op.expert if isinstance(op, Moe) else op
                    plain += not isinstance(inner, GatedMlp)
                elif not isinstance(op, _NEITHER):
                    others += 1
    mixing = min(_mixing_parameters(resolved, program), active_parameters)
    return Traits(
        active_parameters=active_parameters,
        n_layers=sum(len(stack.layers) for stack in resolved.stacks.values()),
        d_model=resolved.stacks[resolved.output].d_model,
        attention=tuple(attention),
        other_mixers=others,
        mixing_parameters=mixing,
        feed_forward_parameters=active_parameters - mixing,
        plain_feed_forward=plain / feed_forward if feed_forward else 0.0,
        weight_bits=math.floor(storage.weight("linear").bits()),  # 4.25 bits with scales are 4 bits of information
        cache_bits=math.floor(storage.cache.bits()),
        context=context,
    )


def _window(op: Attention) -> int | None:
    behind = reach(op.mask.model_dump(mode="json", exclude_none=True))[0]
    return None if math.isinf(behind) else int(behind)


def _mixing_parameters(resolved: Resolved, program: Program) -> int:
    """Parameters of the layers outside their feed-forward branches."""
    feed_forward = {name for stack in resolved.stacks.values() for name in _feed_forward_names(stack)}
    copies = stored_copies(program)
    return sum(
        prod(param.shape) * copies[template]
        for template, param in program.params.items()
        if param.kind not in OUTSIDE and template.startswith("{") and template.split(".")[1] not in feed_forward
    )


def _feed_forward_names(stack: ResolvedStack) -> set[str]:
    return {
        name
        for body in stack.bodies
        for name, branch in zip(branch_names(body), branches(body), strict=True)
        if isinstance(branch.op, _FEED_FORWARD)
    }
