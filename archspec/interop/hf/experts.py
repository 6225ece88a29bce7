"""Mixtures of experts in checkpoints: every expert has its own matrices, in a list beside the router.

transformers 5 computes with one tensor for all experts; `save_pretrained` splits it again (`conversion_mapping.py`).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from archspec.interop.hf.config import Config
from archspec.interop.hf.family import CannotSay
from archspec.interop.hf.reading import expect
from archspec.interop.recipe import Recipe, Stack, Stored
from archspec.spec.types import GatedMlp, Moe, SumToOne

PARTS = {"gate": "gate_proj", "up": "up_proj", "down": "down_proj"}  # ours -> theirs
MOST_EXPERTS = 10_000


@dataclass(frozen=True)
class Experts:
    """A mixture of gated MLPs in numbers. `shared` is the width of the expert that every token uses.

    groups: how many groups the experts form, how many of them take part, and what a group's score is.
    """

    count: int
    d_ff: int
    top_k: int
    activation: str
    normalised: bool
    shared: int | None = None
    shared_gate: bool = False
    score: str = "softmax"
    select_bias: bool = False
    groups: tuple[int, int, str] | None = None
    sum_eps: float = 0
    scale: float = 1


def read_count(config: Config, name: str, default: int, other: str = "") -> int:
    """How many experts, under the one or the other name: bounded, since the tensors of each are listed."""
    if other:
        default = config.integer(other, default, most=MOST_EXPERTS)
    return config.integer(name, default, most=MOST_EXPERTS)


def read_top_k(config: Config, count: int, default: int | None) -> int:
    top_k = config.integer("num_experts_per_tok", default)
    if top_k > count:
        raise config.fail("num_experts_per_tok", f"{top_k} of {count} experts cannot be chosen")
    return top_k


def moe(experts: Experts) -> dict[str, Any]:
    """The operator in the spec."""

    def expert(d_ff: int) -> dict[str, Any]:
        return {"type": "gated_mlp", "d_ff": d_ff, "activation": experts.activation}

    router: dict[str, Any] = {"top_k": experts.top_k}
    if experts.score != "softmax":
        router["score"] = experts.score
    if experts.select_bias:
        router["select_bias"] = True
    if experts.groups:
        router["groups"] = dict(zip(("count", "keep", "score"), experts.groups, strict=True))
    if experts.normalised:
        router["weights"] = {"type": "sum_to_one", "eps": experts.sum_eps} if experts.sum_eps else "sum_to_one"
    if experts.scale != 1:
        router["scale"] = experts.scale
    out: dict[str, Any] = {
        "type": "moe", "n_experts": experts.count, "expert": expert(experts.d_ff), "router": router,
    }  # fmt: skip
    if experts.shared:
        out["shared"] = {"expert": expert(experts.shared)} | ({"gate": "sigmoid"} if experts.shared_gate else {})
    return out


def measure(moe: Moe) -> Experts:
    """The numbers of a resolved mixture; what they leave out shows when the configuration is read back."""
    expert = expect(GatedMlp, moe.expert, "the expert")
    shared = None if moe.shared is None else expect(GatedMlp, moe.shared.expert, "the shared expert").d_ff
    router = moe.router
    return Experts(
        count=moe.n_experts,
        d_ff=expert.d_ff,
        top_k=router.top_k,
        activation=expert.activation,
        normalised=isinstance(router.weights, SumToOne),
        shared=shared,
        shared_gate=moe.shared is not None and moe.shared.gate == "sigmoid",
        score=router.score,
        select_bias=router.select_bias,
        groups=(router.groups.count, router.groups.keep, router.groups.score) if router.groups else None,
        sum_eps=router.weights.eps if isinstance(router.weights, SumToOne) else 0,
        scale=router.scale,
    )


def gated(ours: str, theirs: str, names: Mapping[str, str] = PARTS) -> dict[str, Recipe]:
    """The matrices of one gated MLP under our path and their name."""
    return {f"{ours}.{part}.weight": Stored(f"{theirs}.{name}.weight") for part, name in names.items()}


def stacked(ours: str, theirs: str, count: int, names: Mapping[str, str] = PARTS) -> dict[str, Recipe]:
    """Our matrices of all experts (count, out, in), from one matrix for each of them under `theirs.I`."""
    return {
        f"{ours}.{part}.weight": Stack(tuple(Stored(f"{theirs}.{i}.{name}.weight") for i in range(count)), 0)
        for part, name in names.items()
    }


def only(found: set[Any], what: str) -> Any:
    """The one value that all layers share."""
    if len(found) != 1:
        raise CannotSay(f"one {what} in all layers, found {len(found)}")
    return found.pop()
