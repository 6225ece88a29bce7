"""The mask as a dense boolean tensor: the reference meaning, written atom by atom from its definition."""

from dataclasses import dataclass

import torch
from torch import Tensor

from compiler.masks.drawn import visible_blocks
from compiler.masks.facts import Mask
from compiler.masks.spans import first_of_last
from compiler.masks.top import top_blocks


@dataclass(frozen=True)
class Attended:
    """What masks that choose by content look at: q (B, H, S, D), k (B, G, T, D), real (B, T) False at padding."""

    q: Tensor
    k: Tensor
    real: Tensor | None


@dataclass(frozen=True)
class Slots:
    """What the atoms speak of: i (S, 1) slots of queries, j (1, T) of keys, and inputs of the model by name."""

    i: Tensor
    j: Tensor
    named: dict[str, Tensor]
    attended: Attended | None = None

    @property
    def total(self) -> int:
        return self.j.shape[1]


def dense_mask(
    mask: Mask,
    new: int,
    total: int,
    named: dict[str, Tensor],
    device: torch.device | str = "cpu",
    attended: Attended | None = None,
) -> Tensor:
    """True where key j (of `total`) is visible to the query in slot total - new + i: (1|B, 1|H, new, total).

    `named` holds the model inputs that the expression reads, by name; `attended` the queries and keys.
    """
    queries = torch.arange(
        total - new, total, device=device
    )  # where they are more than the keys the first stand before
    keys = torch.arange(total, device=device)
    seen = _atom(mask, Slots(queries[:, None], keys[None, :], named, attended))
    return _four(seen, new, total)


def dense_before(mask: Mask, new: int, total: int, count: int) -> Tensor:
    """The same for `count` keys that stand before the first, at -count to -1. The mask follows from places alone."""
    seen = _atom(mask, Slots(torch.arange(total - new, total)[:, None], torch.arange(-count, 0)[None, :], {}))
    return _four(seen, new, count)


def _four(seen: Tensor, new: int, total: int) -> Tensor:
    """(1|B, 1|H, new, total) of anything that broadcasts to it."""
    return seen.expand(*seen.shape[:-2], new, total)[(None,) * (4 - seen.dim())]


def _atom(mask: Mask, at: Slots) -> Tensor:
    i, j = at.i, at.j
    match mask["type"]:
        case "full":
            return torch.ones(1, 1, dtype=torch.bool, device=i.device)
        case "causal":
            return j <= i
        case "self":
            return j == i
        case "window":
            return _window(mask, i, j)
        case "segment":
            start = i // mask["length"] * mask["length"]
            return (j <= i) & (j >= start - mask.get("memory", 0))
        case "keys":
            return _rows(mask["of"], j, at)
        case "queries":
            return _rows(mask["of"], i, at)
        case "strided":
            return (i - j) % mask["stride"] == 0
        case "fixed":
            block = mask["block"]
            return (i // block == j // block) | (j % block >= block - mask["summary"])
        case "random_blocks":
            blocks = torch.from_numpy(visible_blocks(mask, at.total)).to(i.device)  # (H, blocks, blocks)
            return blocks[:, i // mask["block"], j // mask["block"]]
        case "top_blocks":
            if at.attended is None:
                raise ValueError("blocks are chosen by queries and keys, which are not given here")
            return top_blocks(mask, at.attended.q, at.attended.k, at.attended.real, i, j)
        case "input":
            given = at.named[mask["name"]].bool()  # (B, S, T)
            return given[:, None] if given.dim() == 3 else given
        case "label":
            q = at.named[mask["queries"]][:, -len(i) :, None][:, None]  # of all tokens the last ones ask
            k = at.named[mask["keys"]][:, None, None, :]
            return q == k if mask.get("compare", "equal") == "equal" else k <= q
        case "not":
            return ~_atom(mask["of"], at)
        case "and":
            return _fold(torch.logical_and, [_atom(m, at) for m in mask["of"]])
        case "or":
            return _fold(torch.logical_or, [_atom(m, at) for m in mask["of"]])
        case "by_head":
            return _by_head([_four(_atom(m, at), len(i), at.total) for m in mask["of"]])
        case "by_length":
            return _atom(mask["then"] if at.total <= mask["up_to"] else mask["otherwise"], at)
    raise ValueError(f"no dense form of mask {mask['type']!r}")


def _by_head(masks: list[Tensor]) -> Tensor:
    """Of each mask its own head, or the only one that it has."""
    own = [m[:, h : h + 1] if m.shape[1] > 1 else m for h, m in enumerate(masks)]
    batch = max(len(m) for m in own)
    return torch.cat([m.expand(batch, -1, -1, -1) for m in own], 1)


def _fold(op: object, parts: list[Tensor]) -> Tensor:
    out = parts[0]
    for part in parts[1:]:
        out = op(out, part)  # type: ignore[operator]
    return out


def _window(mask: Mask, i: Tensor, j: Tensor) -> Tensor:
    block, dilation = mask.get("block", 1), mask.get("dilation", 1)
    behind, ahead = mask.get("behind"), mask.get("ahead", 0)
    distance = i // block - j // block  # in units
    seen = torch.ones_like(distance, dtype=torch.bool)
    if dilation > 1:
        seen = distance % dilation == 0
        distance = torch.div(distance, dilation, rounding_mode="floor")
    if behind is not None:
        seen = seen & (distance < behind)
    return seen if ahead is None else seen & (distance >= -ahead)


def _rows(rows: Mask, at: Tensor, slots: Slots) -> Tensor:
    """True where position `at` (a column for queries, a row for keys) is one of `rows`."""
    match rows["type"]:
        case "first":
            return at < rows["count"]
        case "last":
            return at >= first_of_last(rows, slots.total)
        case "at":
            return torch.isin(at, torch.tensor(rows["positions"], dtype=at.dtype, device=at.device))
        case "rows_input" | "prefix":
            given = slots.named[rows.get("name", "prefix")].bool()  # (B, T)
            return given[:, -len(at) :, None][:, None] if at is slots.i else given[:, None, None, : at.shape[1]]
    raise ValueError(f"no dense form of rows {rows['type']!r}")
