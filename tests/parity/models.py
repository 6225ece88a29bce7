"""Tiny transformers models with every parameter redrawn, and the comparison of a spec with one of them.

Weights that carry meaning at their start (decays, time steps) are only jittered; a gain of one or a bias of zero would
hide a wrong place, so all others are drawn anew.
"""

import zlib
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from archspec.spec import load_spec, resolve
from compiler.lower.program import lower
from compiler.verify.interpreter import interpret

VOCAB = 97
JITTERED = ("A_log", "dt_bias", "dt_proj.bias", "time_decay", "time_first", "time_mix", ".D")


@torch.no_grad()
def redraw(model: nn.Module) -> nn.Module:
    """Every parameter from a generator keyed by its name; selection biases in buffers too."""
    for name, tensor in [*model.named_parameters(), *model.named_buffers()]:
        if not tensor.is_floating_point() or (
            isinstance(tensor, nn.Parameter) is False and "correction_bias" not in name
        ):
            continue
        noise = torch.randn(tensor.shape, generator=torch.Generator().manual_seed(zlib.crc32(name.encode()))).to(
            tensor.dtype
        )
        if tensor.dim() < 2 or any(word in name for word in JITTERED):
            tensor.add_(0.1 * noise)
        else:
            tensor.copy_(noise * tensor.shape[-1] ** -0.5)
    return model.eval()


def ids(*shape: int, seed: int = 0) -> Tensor:
    return torch.randint(5, VOCAB, shape, generator=torch.Generator().manual_seed(seed))


def decoder(
    name: str, d_model: int, blocks: dict[str, Any], layers: list[Any], norm: dict[str, Any], **more: Any
) -> dict[str, Any]:
    """A spec with one stack, its head tied to the embedding unless `head` says otherwise."""
    stack = {
        "d_model": d_model,
        "input": {"sum": [{"type": "tokens", "weights": "/vocab"}], "then": more.pop("then", [])},
        "blocks": blocks,
        "layers": layers,
        "final_norm": norm,
    }
    head = more.pop("head", {"logits": {"type": "linear", "weights": "/vocab"}})
    return {
        "archspec": 1,
        "name": name,
        "vocab_size": VOCAB,
        "max_length": 64,
        "stacks": {"decoder": stack},
        "head": head,
        **more,
    }


@torch.no_grad()
def difference(
    spec: dict[str, Any],
    weights: Mapping[str, str | Tensor],
    model: nn.Module,
    inputs: dict[str, Tensor],
    expected: Tensor,
    valid: Tensor | None = None,
) -> float:
    """Largest difference of the reference meaning of `spec` (float64) from `expected` at valid positions.

    weights: our parameter path -> name in the model's state dict, or a tensor. Every parameter must be given.
    """
    stored = model.state_dict()
    params = {path: (stored[w] if isinstance(w, str) else w).double() for path, w in weights.items()}
    program = lower(resolve(load_spec(spec)))
    declared = program.parameter_paths()
    assert set(params) == set(declared), set(params) ^ set(declared)
    assert all(tuple(params[path].shape) == declared[path].shape for path in declared)
    out = next(iter(interpret(program, params, inputs).values()))
    gap = (out - expected.double()).abs()
    return float((gap[valid] if valid is not None else gap).max())
