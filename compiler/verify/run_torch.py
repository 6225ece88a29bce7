"""Runs the model.py of a torch package."""

from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from torch import Tensor

from archspec.errors import InputError


def load_module(file: Path) -> ModuleType:
    """The module in `file`, compiled from its source: no cached bytecode is read or written, nothing else imported."""
    module = ModuleType("archspec_package")
    module.__file__ = str(file)
    try:
        code = compile(file.read_bytes(), str(file), "exec")
    except (OSError, SyntaxError, ValueError) as error:
        raise InputError(f"cannot be loaded: {error}", source=str(file)) from None
    exec(code, module.__dict__)
    return module


class TorchPackage:
    """`code` has model.py, `weights` the folder of its tensors."""

    def __init__(self, code: Path, weights: Path) -> None:
        self.module, self.weights = load_module(code / "model.py"), weights
        self._loaded: dict[torch.dtype, Any] = {}

    def model(self, dtype: torch.dtype) -> Any:
        """The module on the CPU, its tensors cast to `dtype`; one is held at a time."""
        if dtype not in self._loaded:
            self._loaded.clear()
            self._loaded[dtype] = self.module.load(self.weights, device="cpu", dtype=dtype)
        return self._loaded[dtype]

    @torch.no_grad()
    def forward(self, inputs: Mapping[str, Tensor], dtype: torch.dtype = torch.float32) -> Tensor:
        """The output for all tokens at once."""
        given = {k: v.to(dtype) if v.is_floating_point() else v for k, v in inputs.items()}
        out: Tensor = self.model(dtype)(**given)
        return out

    @torch.no_grad()
    def stepped(self, inputs: Mapping[str, Tensor], cuts: tuple[int, ...]) -> Tensor:
        """The output put together from steps that end at `cuts`, in float32."""
        model = self.model(torch.float32)
        rows, mask = next(iter(model.inputs)), next((name for name in inputs if name not in model.inputs), "")
        batch, length = inputs[rows].shape[:2]
        state, start, parts = model.new_state(batch, length), 0, []
        for stop in (*cuts, length):
            new = {name: x[:, start:stop] for name, x in inputs.items()}
            new = {name: x.float() if x.is_floating_point() else x for name, x in new.items()}
            out, state = model.step(new.pop(rows), state, new.pop(mask, None), **new)
            parts.append(out)
            start = stop
        return torch.cat(parts, 1)

    def steps(self, inputs: Mapping[str, Tensor]) -> bool:
        """True if the model has state and a step takes all of these inputs by token, padding besides."""
        model, stepping = self.module.Model, getattr(self.module, "Stepping", ())
        if not issubclass(model, stepping):
            return False
        shapes = [model.inputs[name][0] for name in inputs if name in model.inputs]
        return len(inputs) - len(shapes) <= 1 and all(len(s) > 1 and s[1] in ("S", "T") for s in shapes)
