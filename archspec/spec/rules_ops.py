"""Rules of ops: what attention, mixers and experts need of their numbers."""

from typing import Any

from archspec.spec.rule import Around, Problem, Rule


def rope_within(head: str) -> Rule:
    """The rotated slice lies inside the head, whose size is the field `head`."""

    def rule(op: Any, around: Around) -> Problem:
        for i, position in enumerate(op.position):
            if position.type == "rope" and position.offset + position.dims > getattr(op, head):
                end = position.offset + position.dims
                return (
                    f"position/{i}/dims",
                    f"the rotated slice ends at {end}, wider than the head ({getattr(op, head)})",
                )
        return None

    return rule


def rope(rope: Any, around: Around) -> Problem:
    if rope.dims % 2:
        return "dims", f"found {rope.dims}; pairs are rotated, so it must be even"
    scaling = rope.scaling
    if scaling is not None and scaling.type == "by_length":
        for field in ("short", "long"):
            if len(getattr(scaling, field)) != rope.dims // 2:
                return f"scaling/{field}", f"{len(getattr(scaling, field))} factors for {rope.dims // 2} pairs"
    return None


def no_scores(op: Any, around: Around) -> Problem:
    """Positions that act on a matrix of scores need an op that has one."""
    for i, position in enumerate(op.position):
        if position.type not in ("rope", "temperature"):
            return f"position/{i}", f"{position.type!r} is added to attention scores, and {op.type} has none"
    return None


def alibi(op: Any, around: Around) -> Problem:
    """ALiBi is defined up to a constant of each row of scores (arXiv 2108.12409, section 3), which a softmax over these
    scores alone forgets; a cap or other keys would not."""
    for i, position in enumerate(op.position):
        if position.type == "alibi" and (op.softcap or op.extra_keys):
            beside = "a softcap" if op.softcap else "extra keys"
            return f"position/{i}", f"alibi leaves a constant of each row open, so it cannot stand beside {beside}"
    return None


def compressed_past(op: Any, around: Around) -> Problem:
    """What leaves the memory is what the mask stops showing, in whole slots."""
    for i, keys in enumerate(op.extra_keys):
        if keys.type != "compressed_past":
            continue
        for field in ("segment", "after"):
            if getattr(keys, field) % keys.rate:
                return f"extra_keys/{i}/{field}", f"found {getattr(keys, field)}, not a multiple of rate ({keys.rate})"
        masks = op.mask.of if op.mask.type == "and" else (op.mask,)
        segments = [(mask.length, mask.memory) for mask in masks if mask.type == "segment"]
        if segments != [(keys.segment, keys.after)]:
            wanted = f"segment {{length: {keys.segment}, memory: {keys.after}}}"
            return f"extra_keys/{i}", f"the mask shows other tokens than it compresses: it must have {wanted}"
    return None


def by_head(op: Any, around: Around) -> Problem:
    def widths(mask: Any) -> list[int]:
        inner = mask.of if mask.type in ("and", "or", "by_head") else (mask.of,) if mask.type == "not" else ()
        inner = (mask.then, mask.otherwise) if mask.type == "by_length" else inner
        own = [len(mask.of)] if mask.type == "by_head" else []
        return own + [width for item in inner for width in widths(item)]

    masks = {"mask": op.mask} | {
        f"position/{i}/mask": term.mask for i, term in enumerate(op.position) if term.type == "bias_where"
    }
    for place, mask in masks.items():
        for width in widths(mask):
            if width != op.n_heads:
                return place, f"by_head has {width} masks for {op.n_heads} heads"
    return None


def decay_rate(decay: Any, around: Around) -> Problem:
    rates = decay.rate if isinstance(decay.rate, tuple) else (decay.rate,)
    if any(not 0 < rate <= 1 for rate in rates):
        return "rate", f"found {min(rates):g} to {max(rates):g}; allowed is above 0 and at most 1"
    if isinstance(decay.rate, tuple) and len(rates) != around["n_heads"]:
        return "rate", f"{len(rates)} rates for {around['n_heads']} heads"
    return None


def groups(op: Any, around: Around) -> Problem:
    if op.n_heads % op.n_groups:
        return "n_groups", f"found {op.n_groups}; n_heads ({op.n_heads}) must be a multiple of n_groups"
    return None


def dt_limit(op: Any, around: Around) -> Problem:
    if op.dt_limit and not 0 <= op.dt_limit[0] <= op.dt_limit[1]:
        return "dt_limit", f"found {list(op.dt_limit)}; allowed: [lowest, highest] in order"
    return None


def long_conv(op: Any, around: Around) -> Problem:
    for field, count in (("n_heads", op.n_heads), ("filter/groups", op.filter.groups)):
        if around["d_model"] % count:
            return field, f"found {count}; d_model ({around['d_model']}) must be a multiple of it"
    return None


def lsh(op: Any, around: Around) -> Problem:
    if op.buckets % 2:
        return "buckets", f"found {op.buckets}; hashes come in pairs, so it must be even"
    return None


def hierarchical(op: Any, around: Around) -> Problem:
    if op.mask.type == "causal":
        return "mask", "a coarser query is the mean of a group, later tokens included: only the mask 'full' can hold"
    if op.block % 2:
        return "block", f"found {op.block}; blocks are halved, so it must be even"
    if op.coarsest < 2 or op.coarsest & (op.coarsest - 1):
        return "coarsest", f"found {op.coarsest}; blocks come in pairs, so it must be a power of two, at least 2"
    return None


def compress_select(op: Any, around: Around) -> Problem:
    stride = op.compress.stride
    for field, block in (("compress/block", op.compress.block), ("select/block", op.select.block)):
        if block % stride:
            return field, f"found {block}, not a multiple of the stride ({stride})"
    if op.window.ahead:
        return "window/ahead", f"found {op.window.ahead}; this op is causal, so nothing ahead is visible"
    return None


def moe(op: Any, around: Around) -> Problem:
    router, choices = op.router, op.n_experts + op.router.identity_experts
    if router.top_k > choices:
        return "router/top_k", f"found {router.top_k}, more than there are experts ({choices})"
    groups = router.groups
    if groups is None:
        return None
    if choices % groups.count:
        return "router/groups/count", f"found {groups.count}; the number of experts ({choices}) must be a multiple"
    if groups.keep > groups.count:
        return "router/groups/keep", f"found {groups.keep}, more than there are groups ({groups.count})"
    size = choices // groups.count
    if router.top_k > groups.keep * size:
        return "router/top_k", f"found {router.top_k}; {groups.keep} groups of {size} experts are kept"
    if groups.score == "top2_sum" and size < 2:
        return "router/groups/score", f"top2_sum needs two experts in a group; here is {size}"
    return None


def fraction(capacity: Any, around: Around) -> Problem:
    return ("fraction", f"found {capacity.fraction:g}; allowed is at most 1") if capacity.fraction > 1 else None
