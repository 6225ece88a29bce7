"""Rules of masks, positions and branches."""

from typing import Any

from archspec.spec.rule import Around, Problem, Rule, distinct


def within_length(field: str) -> Rule:
    """Rows named by number lie inside the longest sequence."""

    def rule(rows: Any, around: Around) -> Problem:
        found = getattr(rows, field)
        last = max(found, default=-1) + 1 if isinstance(found, tuple) else found
        if "max_length" in around and last > around["max_length"]:
            return field, f"found {last}, beyond the longest sequence (max_length {around['max_length']})"
        return None

    return rule


def at(rows: Any, around: Around) -> Problem:
    if not rows.positions:
        return "positions", "at least one position is needed"
    return within_length("positions")(rows, around)


def fixed_mask(mask: Any, around: Around) -> Problem:
    if mask.summary > mask.block:
        return "summary", f"found {mask.summary}, more than the block has ({mask.block})"
    return None


def buckets(distance: Any, around: Around) -> Problem:
    if distance.buckets % distance.sides:
        return "buckets", f"found {distance.buckets}; two sides need an even number"
    exact = distance.buckets // distance.sides // 2
    if exact < 1 or distance.max <= exact:
        return "max", f"found {distance.max}; the first {exact} distances have buckets of their own, so max is larger"
    return None


def vectors(position: Any, around: Around) -> Problem:
    if not position.terms:
        return "terms", "at least one term is needed"
    if position.terms == ("u_k",):
        return "terms", "u_k alone has no distance: q_r, k_r, v_r or s must stand beside it"
    if "s" in position.terms and position.vectors.type == "sinusoid":
        return "terms", "s is a learned number for each distance of a table, and a sinusoid has no end"
    return distinct("terms")(position, around)


def branch(branch: Any, around: Around) -> Problem:
    wide = hasattr(branch.read, "concat") and len(branch.read.concat) > 1
    if wide and branch.op.type == "identity":
        return "op", "identity cannot bring joined streams back to the width of one"
    if wide and getattr(branch.residual, "of", "") == "pre_norm":
        return "residual/of", "the output of pre_norm is wider than the stream, since the branch reads joined streams"
    for field in ("pre_norm", "out_norm", "sum_norm"):
        norm = getattr(branch, field)
        if norm is not None and norm.type == "group" and around["d_model"] % norm.groups:
            return f"{field}/groups", f"found {norm.groups}; d_model ({around['d_model']}) must be a multiple of it"
    return None


def parallel(step: Any, around: Around) -> Problem:
    if not step.parallel:
        return "parallel", "at least one branch is needed"
    if step.pre_norm is not None and any(branch.read != step.parallel[0].read for branch in step.parallel):
        return "pre_norm", "one norm for all branches needs branches that read the same"
    return None
