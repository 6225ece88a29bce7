"""Tensors that hold several of ours joined by rows: which of them are whose."""

from collections.abc import Mapping

from archspec.interop.recipe import Recipe, Reshape, Slice, Stored


def qkv(name: str, *, groups: int, per_group: int, d_head: int, d_in: int | None) -> dict[str, Recipe]:
    """q, k and v from rows ordered (group, `per_group` query heads + k + v, d_head), as Megatron and Falcon join them.

    `groups` is how many kv heads there are. `d_in` is the width of a weight's rows, None for a bias.
    """
    tail = () if d_in is None else (d_in,)
    rows = Reshape(Stored(name), (groups, per_group + 2, d_head, *tail))
    return {
        "q": Reshape(Slice(rows, 1, 0, per_group), (groups * per_group * d_head, *tail)),
        "k": Reshape(Slice(rows, 1, per_group, per_group + 1), (groups * d_head, *tail)),
        "v": Reshape(Slice(rows, 1, per_group + 1, per_group + 2), (groups * d_head, *tail)),
    }


def qkv_of_roles(
    ours: str, theirs: str, d_in: Mapping[str, int | None], *, groups: int, per_group: int, d_head: int
) -> dict[str, Recipe]:
    """`qkv` of the weights and, where there are any, the biases: `d_in` by role, None for the bias."""
    return {
        f"{ours}.{part}.{role}": recipe
        for role, width in d_in.items()
        for part, recipe in qkv(
            f"{theirs}.{role}", groups=groups, per_group=per_group, d_head=d_head, d_in=width
        ).items()
    }


def rows(name: str, sizes: Mapping[str, int]) -> dict[str, Recipe]:
    """Parts joined one after the other by rows, in the order of `sizes`."""
    out: dict[str, Recipe] = {}
    start = 0
    for part, size in sizes.items():
        out[part] = Slice(Stored(name), 0, start, start + size)
        start += size
    return out
