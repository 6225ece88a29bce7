"""What every model has."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import Tensor, nn


def check_ids(ids: Tensor, rows: int, name: str) -> None:
    """ValueError unless ids is (B, S) of whole numbers below `rows`; on a GPU the kernel checks the values."""
    if ids is None:
        raise ValueError(f"{name} is missing: whole numbers (batch, tokens), 0 to {rows - 1}")
    if not isinstance(ids, Tensor):
        raise ValueError(f"{name} must be a tensor of whole numbers (batch, tokens), found a {type(ids).__name__}")
    if ids.dim() != 2 or ids.dtype not in (torch.int64, torch.int32) or ids.numel() == 0:
        raise ValueError(f"{name} must be whole numbers (batch, tokens), found {ids.dtype} {tuple(ids.shape)}")
    if ids.device.type == "cpu" and not torch.compiler.is_compiling():
        low, high = torch.aminmax(ids)
        if int(low) < 0 or int(high) >= rows:
            raise ValueError(f"{name} has {int(low) if int(low) < 0 else int(high)}, allowed are 0 to {rows - 1}")


def check_shape(
    x: Tensor, name: str, shape: tuple[int | str | None, ...], sizes: dict[str, int], dtype: torch.dtype | None = None
) -> None:
    """ValueError unless x has this shape and type. A letter is a size: that of the inputs before it, which `sizes` has,
    or one that it tells first; "S+3" is three more, None any size."""
    if x is None:
        raise ValueError(f"{name} is missing")
    fits = x.dim() == len(shape) and 0 not in x.shape
    for wanted, found in zip(shape, x.shape, strict=False):
        if isinstance(wanted, str):
            known = [int(part) if part.isdigit() else sizes.get(part) for part in wanted.split("+")]
            fits = fits and (None in known or sum(known) == found)  # type: ignore[arg-type]
            sizes.setdefault(wanted, found)
        elif wanted is not None:
            fits = fits and wanted == found
    if not fits:
        told = ", ".join(str(sizes.get(d, d)) if isinstance(d, str) else str(d or "any") for d in shape)
        raise ValueError(f"{name} must have shape ({told}), found {tuple(x.shape)}")
    if dtype is not None and x.dtype != dtype:
        raise ValueError(f"{name} must hold {dtype}, found {x.dtype}")


def check_places(places: Tensor | None, ids: Tensor, name: str, required: bool) -> None:
    """ValueError unless places are whole numbers (batch or 1, tokens), or absent where they may be."""
    if places is None and not required:
        return
    told = f"{name} must be whole numbers {tuple(ids.shape[:2])}"
    if places is None:
        raise ValueError(f"{told}, and they are missing")
    if (
        places.is_floating_point()
        or places.dim() != 2
        or places.shape[0] not in (1, ids.shape[0])
        or (places.shape[1] != ids.shape[1])
    ):
        raise ValueError(f"{told}, found {places.dtype} {tuple(places.shape)}")


def real_tokens(mask: Tensor | None, ids: Tensor, name: str) -> Tensor | None:
    """attention_mask -> True where tokens are not padding (B, S), or None where there is no mask."""
    if mask is None:
        return None
    if mask.shape != ids.shape[:2]:
        raise ValueError(f"{name} must have shape {tuple(ids.shape[:2])}, found {tuple(mask.shape)}")
    if (
        mask.is_floating_point()
        and mask.device.type == "cpu"
        and not torch.compiler.is_compiling()
        and (mask < 0).any()
    ):
        raise ValueError(f"{name} must hold 1 at tokens and 0 at padding, found numbers below 0")
    return mask.bool()


class Base(nn.Module):
    """What every model has: tables that are no parameters, its type, compiled layers."""

    compiled = False
    layer_lists: tuple[str, ...] = ()  # attributes that list layers
    finish: Callable[..., Tensor] | None = None  # what follows the layers, where that is a method of its own
    by_slot = False  # tokens stand where their slot says, unless a caller says otherwise
    places: tuple[str, ...] = ()  # inputs that tell where tokens stand, and must be given
    inputs: dict[str, tuple[tuple[int | str, ...], int]] = {}  # their shapes; whole numbers below so many, 0: floats

    def example(self, tokens: int = 8) -> dict[str, Tensor]:
        """Random inputs that fit, by name: batch 1, `tokens` long."""
        like, made = next(self.parameters()), {}
        for name, (shape, below) in self.inputs.items():
            sizes = [1 if d == "B" else d if isinstance(d, int) else tokens for d in shape]
            numbers = torch.randint(below, sizes) if below else torch.randn(sizes, dtype=like.dtype)
            made[name] = numbers.to(like.device)
        return made

    def compile_layers(self) -> None:
        """Let torch.compile build each kind of layer once, for all layers of the kind, and what follows the layers."""
        layers = [layer for name in self.layer_lists for layer in getattr(self, name)]
        kinds = {type(layer): torch.compile(type(layer).forward) for layer in layers}
        for layer in layers:
            layer.forward = partial(kinds[type(layer)], layer)
        if self.finish is not None:
            self.finish = torch.compile(self.finish)
        self.compiled = True

    def table(self, name: str, numbers: Sequence[float]) -> None:
        """Constants in float64, kept out of state_dict."""
        self.register_buffer(name, torch.tensor(numbers, dtype=torch.float64, device="cpu"), persistent=False)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Base:
        """Moves and casts parameters; tables move but stay float64."""
        tables = dict(self._buffers)
        super()._apply(fn, recurse)
        for name, table in tables.items():
            moved = self._buffers[name]
            if table is not None and moved is not None:
                self._buffers[name] = table.to(moved.device)
        return self

    @property
    def dtype(self) -> torch.dtype:
        """The type of the activations."""
        return next(self.parameters()).dtype
