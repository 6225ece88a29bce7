"""Specs and folders compiled into packages, and packages loaded as a user loads them."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from archspec.api import compile
from archspec.running import module

torch.set_num_threads(1)


def ids(*shape: int, vocabulary: int = 97, seed: int = 0, low: int = 5) -> Tensor:
    return torch.randint(low, vocabulary, shape, generator=torch.Generator().manual_seed(seed))


def packaged(spec: Any, folder: Path, **options: Any) -> Any:
    """The module of the compiled package's model.py."""
    compile(spec, folder, **options)
    return module(folder / "model.py")


def model_of(spec: Any, folder: Path, **options: Any) -> Any:
    """The loaded model of a package with weights; random ones unless `weights` or the spec has them."""
    if isinstance(spec, dict):
        options = {"init": 1, "dtype": "fp32"} | options
    return packaged(spec, folder, **options).load()


def stepped(model: Any, tokens: Tensor, chunks: Iterable[int], mask: Tensor | None = None, room: int = 0) -> Tensor:
    """Logits of all tokens, run through a state in these chunks (the last one takes what is left)."""
    state = model.new_state(tokens.shape[0], tokens.shape[1] + room)
    done, out = 0, []
    for chunk in chunks:
        part = slice(done, done + chunk)
        logits, state = model.step(tokens[:, part], state, None if mask is None else mask[:, part])
        out.append(logits)
        done += chunk
        if done >= tokens.shape[1]:
            break
    if done < tokens.shape[1]:
        logits, state = model.step(tokens[:, done:], state, None if mask is None else mask[:, done:])
        out.append(logits)
    return torch.cat(out, 1)


def spec(
    blocks: dict[str, Any] | None = None,
    layers: list[Any] | None = None,
    attention: dict[str, Any] | None = None,
    head: dict[str, Any] | None = None,
    stack: dict[str, Any] | None = None,
    **more: Any,
) -> dict[str, Any]:
    """A small decoder: two layers of attention with rotation and a gated MLP, unless told otherwise."""
    op = {"type": "attention", "n_heads": 4, "n_kv_heads": 2, "mask": "causal"}
    op["position"] = [{"type": "rope", "theta": 10000}]
    op |= attention or {}
    main = [
        {"pre_norm": "rms", "op": op},
        {"pre_norm": "rms", "op": {"type": "gated_mlp", "d_ff": 24, "activation": "silu"}},
    ]
    return {
        "archspec": 1,
        "name": "tiny",
        "vocab_size": 97,
        "max_length": 64,
        "stacks": {
            "decoder": {
                "d_model": 16,
                "input": {"sum": ["tokens"]},
                "blocks": blocks or {"main": main},
                "layers": layers or [{"repeat": 2, "of": ["main"]}],
                "final_norm": "rms",
            }
            | (stack or {})
        },
        "head": head or {"logits": "linear"},
    } | more
