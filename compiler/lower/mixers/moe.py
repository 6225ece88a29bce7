"""A mixture of experts: router, chosen experts, and an expert that every token uses."""

from typing import Any

from compiler.lower.context import Scope
from compiler.lower.mixers import gated_mlp, mlp
from compiler.lower.pointwise import inner_norm, linear
from compiler.ops.limit_choices.shape import never_full


def lower(s: Scope, op: Any, h: str, home: str, at: str) -> str:
    y = chosen(s, op, h, home, at)
    if op.shared is None:
        return y
    dense = gated_mlp if op.shared.expert.type == "gated_mlp" else mlp
    shared = dense.lower(s, op.shared.expert, h, f"{home}.shared", f"{at}.shared")
    if op.shared.gate == "sigmoid":
        gate = linear(s, h, 1, f"{home}.shared_gate", f"{at}.shared_gate", False, "router")
        gate = s.b.node("activation", gate, at=f"{at}.shared_gate.act", function="sigmoid")
        shared = s.b.node("mul", shared, gate, at=f"{at}.shared.gated")
    return s.b.node("add", y, shared, at=f"{at}.all")


def chosen(s: Scope, op: Any, h: str, home: str, at: str) -> str:
    router, expert = op.router, op.expert
    if router.later_choices.type == "random":
        s.refuse("later_choices 'random': a policy of training", at)
    choices = op.n_experts + router.identity_experts
    above = router.later_choices.above if router.later_choices.type == "threshold" else None
    logits = linear(s, h, choices, f"{home}.router", f"{at}.router.logits", router.bias, "router")
    groups = router.groups
    kept = {"groups": groups.count, "groups_keep": groups.keep, "groups_score": groups.score} if groups else {}
    capacity, ways = router.capacity.model_dump(mode="json") if router.capacity else None, router.weights
    if capacity is not None and never_full(capacity, choices):
        capacity = None
    dropping = capacity is not None or above is not None
    later = dropping and ways.type == "sum_to_one" and ways.of == "placed"  # divided when it is known what is left
    weights = s.b.node(
        "router", logits, at=f"{at}.router", outputs=("weights", "index"), kind="norm",
        params={"select_bias": f"{home}.router.select_bias"} if router.select_bias else {},
        top_k=router.top_k, score=router.score, select_bias=router.select_bias,
        weights="as_scored" if later else ways.type, eps=0 if later else getattr(ways, "eps", 0),
        scale=1 if later else router.scale,
        at_least=s.at_least["router"], **kept,
    )  # fmt: skip
    index = weights.replace(".weights", ".index")
    if dropping:
        fields = {"n_experts": choices, "top_k": router.top_k, "capacity": capacity, "above": above}
        fields |= {"share": ways.eps} if later else {}
        weights = s.b.node("limit_choices", weights, index, at=f"{at}.router.placed", **fields)
        if later and router.scale != 1:
            weights = s.b.node("scale", weights, at=f"{at}.router.scaled", by=router.scale)
    gated = expert.type == "gated_mlp"
    roles = ["gate", "up", "down"] if gated else ["up", "down"]
    params = {role: f"{home}.experts.{role}.weight" for role in roles}
    params |= {f"{role}_bias": f"{home}.experts.{role}.bias" for role in expert.bias}
    more: dict[str, Any] = {"identities": router.identity_experts} if router.identity_experts else {}
    if router.weigh == "input" and dropping:
        more["dropped"] = True
    if expert.inner_norm is not None:
        path = f"{home}.experts.inner_norm"
        more["inner_norm"], inside = inner_norm(s, expert.inner_norm, expert.d_ff, path, "inner_norm")
        params |= inside
    return s.b.node(
        "experts", h, weights, index, at=f"{at}.experts", params=params, kind="expert",
        n_experts=op.n_experts, top_k=router.top_k, d_ff=expert.d_ff, gated=gated,
        function=None if expert.activation == "identity" else expert.activation, bias=list(expert.bias),
        up_offset=getattr(expert, "up_offset", 0), clamp=getattr(expert, "clamp", None), weigh=router.weigh, **more,
    )  # fmt: skip
