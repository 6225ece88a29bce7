"""Floating-point operations: 2 for each multiply-add of every matrix product, nothing else counted."""

from dataclasses import dataclass

from compiler.cost.sites import Site, last_only
from compiler.ops.base import Env, Flops


@dataclass(frozen=True, slots=True)
class FlopCount:
    """prefill: one forward over the context, hidden pairs and the head at every position counted, which is what the
    plain model executes. prefill_exact: only visible pairs. prefill_generation: visible pairs, head at the last
    position. decode: one more token of each sequence that sees the whole context; None if the model cannot step."""

    prefill: int
    prefill_exact: int
    prefill_generation: int
    decode: int | None
    decode_exact: int | None


def of_site(site: Site, env: Env) -> Flops:
    return site.op.flops(site.inputs, site.node.attrs, env)


def count(found: tuple[Site, ...], context: Env, step: Env | None) -> FlopCount:
    """`context`: sizes of a forward over the whole context; `step`: of one new token, or None."""
    dense = exact = generation = 0
    tail = last_only(context) if step is not None else context
    for site in found:
        flops = of_site(site, context)
        dense += flops.dense * site.runs
        exact += flops.exact * site.runs
        generation += (of_site(site, tail).exact if site.stage == "tail" else flops.exact) * site.runs
    if step is None:
        return FlopCount(dense, exact, generation, None, None)
    steps = [(of_site(site, step), site.runs) for site in found if site.stage != "source"]
    return FlopCount(dense, exact, generation, sum(f.dense * n for f, n in steps), sum(f.exact * n for f, n in steps))
