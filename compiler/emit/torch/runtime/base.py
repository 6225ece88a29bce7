"""What every model has."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import Tensor, nn


def check_ids(ids: Tensor, rows: int, name: str) -> None:
    """ValueError unless ids is (B, S) of whole numbers below `rows`; on a GPU the kernel checks the values."""
    if ids.dim() != 2 or ids.is_floating_point() or ids.numel() == 0:
        raise ValueError(f"{name} must be whole numbers (batch, tokens), found {ids.dtype} {tuple(ids.shape)}")
    if ids.device.type == "cpu" and not torch.compiler.is_compiling():
        low, high = torch.aminmax(ids)
        if int(low) < 0 or int(high) >= rows:
            raise ValueError(f"{name} has {int(low) if int(low) < 0 else int(high)}, allowed are 0 to {rows - 1}")


def real_tokens(mask: Tensor | None, ids: Tensor, name: str) -> Tensor | None:
    """attention_mask -> True where tokens are not padding (B, S), or None where there is no mask."""
    if mask is None:
        return None
    if mask.shape != ids.shape[:2]:
        raise ValueError(f"{name} must have shape {tuple(ids.shape[:2])}, found {tuple(mask.shape)}")
    return mask.bool()


class Base(nn.Module):
    """What every model has: tables that are no parameters, its type, compiled layers."""

    compiled = False
    layer_lists: tuple[str, ...] = ()  # attributes that list layers

    def compile_layers(self) -> None:
        """Let torch.compile build each kind of layer once, for all layers of the kind."""
        layers = [layer for name in self.layer_lists for layer in getattr(self, name)]
        kinds = {type(layer): torch.compile(type(layer).forward) for layer in layers}
        for layer in layers:
            layer.forward = partial(kinds[type(layer)], layer)
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
