"""Peak bytes of tensors that are alive while PyTorch runs, by watching every operation."""

import weakref
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


class _Watch(TorchDispatchMode):
    def __init__(self) -> None:
        super().__init__()
        self.tensors: list[weakref.ReferenceType[Tensor]] = []
        self.peak = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        self.tensors += [weakref.ref(leaf) for leaf in tree_leaves(out) if isinstance(leaf, Tensor)]
        alive: dict[int, int] = {}
        kept = []
        for reference in self.tensors:
            tensor = reference()
            if tensor is not None:
                kept.append(reference)
                storage = tensor.untyped_storage()
                alive[storage.data_ptr()] = storage.nbytes()
        self.tensors = kept
        self.peak = max(self.peak, sum(alive.values()))
        return out


@torch.no_grad()
def peak_bytes(call: Callable[[], Any]) -> int:
    """Most bytes alive at once of tensors made while `call` runs; what existed before does not count."""
    with _Watch() as watch:
        call()
    return watch.peak
