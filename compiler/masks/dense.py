"""The mask as a dense boolean tensor: the reference meaning, written atom by atom from its definition."""

import torch
from torch import Tensor

from compiler.masks.facts import Mask


def dense_mask(
    mask: Mask, new: int, total: int, named: dict[str, Tensor], device: torch.device | str = "cpu"
) -> Tensor:
    """True where key j (of `total`) is visible to the query in slot total - new + i: (1|B, 1|H, new, total).

    `named` holds the model inputs that the expression reads, by name.
    """
    i = torch.arange(total - new, total, device=device)[:, None]
    j = torch.arange(total, device=device)[None, :]
    seen = _atom(mask, i, j, total, named)
    return seen.expand(*seen.shape[:-2], new, total)[(None,) * (4 - seen.dim())]


def _atom(mask: Mask, i: Tensor, j: Tensor, total: int, named: dict[str, Tensor]) -> Tensor:
    def of(part: Mask) -> Tensor:
        return _atom(part, i, j, total, named)

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
            return _rows(mask["of"], j, total, named)
        case "queries":
            return _rows(mask["of"], i, total, named)
        case "strided":
            return (i - j) % mask["stride"] == 0
        case "fixed":
            block = mask["block"]
            return (i // block == j // block) | (j % block >= block - mask["summary"])
        case "input":
            given = named[mask["name"]].bool()  # (B, S, T)
            return given[:, None] if given.dim() == 3 else given
        case "label":
            q, k = named[mask["queries"]][:, None, :, None], named[mask["keys"]][:, None, None, :]
            return q == k if mask.get("compare", "equal") == "equal" else k <= q
        case "not":
            return ~of(mask["of"])
        case "and":
            return _fold(torch.logical_and, [of(m) for m in mask["of"]])
        case "or":
            return _fold(torch.logical_or, [of(m) for m in mask["of"]])
        case "by_head":
            return torch.stack([of(m).expand(len(i), total) for m in mask["of"]])[None]
        case "by_length":
            return of(mask["then"] if total <= mask["up_to"] else mask["otherwise"])
    raise ValueError(f"no dense form of mask {mask['type']!r}")


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


def _rows(rows: Mask, at: Tensor, total: int, named: dict[str, Tensor]) -> Tensor:
    """True where position `at` (a column for queries, a row for keys) is one of `rows`."""
    match rows["type"]:
        case "first":
            return at < rows["count"]
        case "last":
            return at >= total - rows["count"]
        case "at":
            return torch.isin(at, torch.tensor(rows["positions"], dtype=at.dtype, device=at.device))
        case "rows_input" | "prefix":
            given = named[rows.get("name", "prefix")].bool()  # (B, T)
            picked = given[:, at.flatten()]
            return picked[:, None, :, None] if at.shape[1] == 1 else picked[:, None, None, :]
    raise ValueError(f"no dense form of rows {rows['type']!r}")
