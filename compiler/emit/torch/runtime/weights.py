"""Parameters by path, loading, and what `python model.py` does."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from torch import nn


def declare(owner: nn.Module, shapes: dict[str, tuple[int, ...]]) -> None:
    """Empty parameters at dotted paths: modules within modules, so that state_dict has these keys."""
    for path, shape in shapes.items():
        *modules, name = path.split(".")
        place = owner
        for part in modules:
            place = place._modules.setdefault(part, nn.Module())  # type: ignore[assignment]
        place._parameters[name] = nn.Parameter(torch.empty(shape))


def attach(owner: nn.Module, path: str, layer: nn.Module) -> nn.Module:
    """Make `layer` the submodule at dotted `path`, or give the one that is there: layers that share weights are one."""
    *modules, name = path.split(".")
    for part in modules:
        owner = owner._modules.setdefault(part, nn.Module())  # type: ignore[assignment]
    return owner._modules.setdefault(name, layer)  # type: ignore[return-value]


def at(owner: nn.Module, path: str) -> torch.Tensor:
    """The parameter at a path whose names are no Python names."""
    *modules, name = path.split(".")
    for part in modules:
        owner = owner._modules[part]  # type: ignore[assignment]
    return owner._parameters[name]  # type: ignore[return-value]


def read_weights(folder: Path, device: str | torch.device, dtype: torch.dtype | None) -> dict[str, torch.Tensor]:
    """All tensors of weights.safetensors or of its shards, cast to `dtype` one by one."""
    from safetensors.torch import load_file

    index = folder / "weights.safetensors.index.json"
    names = ["weights.safetensors"]
    if index.exists():
        names = sorted(set(json.loads(index.read_text())["weight_map"].values()))
    missing = [name for name in names if not (folder / name).exists()]
    if missing:
        raise FileNotFoundError(
            f"{folder}: {missing[0]} is missing; compile with --weights, or use --init for random ones"
        )
    tensors: dict[str, torch.Tensor] = {}
    for name in names:
        tensors.update({k: v.to(dtype or v.dtype) for k, v in load_file(folder / name, device=str(device)).items()})
    return tensors


@torch.no_grad()
def randomise(model: nn.Module, seed: int = 0) -> nn.Module:
    """Random weights, for a look at a model without trained ones: gains near 1, biases near 0."""
    generator = torch.Generator().manual_seed(seed)
    for name, parameter in model.named_parameters():
        noise = torch.randn(parameter.shape, generator=generator)
        if parameter.dim() > 1:
            parameter.copy_(noise * parameter.shape[-1] ** -0.5)
        else:
            parameter.copy_(noise * 0.02 + (1.0 if name.endswith("weight") else 0.0))
    return model
