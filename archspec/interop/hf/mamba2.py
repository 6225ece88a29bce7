"""Mamba-2. Defaults: transformers 5.23 `models/mamba2/configuration_mamba2.py` Mamba2Config.

`time_step_rank` is written but nothing reads it: a step size comes straight out of the first projection.
"""

from math import isinf
from typing import Any

from archspec.interop.hf import state_space
from archspec.interop.hf.config import Config
from archspec.interop.hf.family import Family, HeadKind
from archspec.interop.hf.reading import operator
from archspec.interop.tensor_map import TensorMap
from archspec.spec import Resolved
from archspec.spec.types import Ssd

DEFAULTS = state_space.Defaults(vocab_size=32768, d_model=4096, n_layers=64, tied=False)
INFINITE = {"__float__": "Infinity"}  # as transformers 5 writes it
NAMES = {
    "in.weight": "in_proj.weight",
    "a_log": "A_log",
    "d": "D",
    "dt_bias": "dt_bias",
    "inner_norm.weight": "norm.weight",
    "out.weight": "out_proj.weight",
}


def _limit(config: Config) -> list[float] | None:
    """Bounds of the step size; None where they bound nothing (it is positive by itself)."""
    limit = config.get("time_step_limit", [0.0, INFINITE])
    if isinstance(limit, list) and len(limit) == 2:
        low, high = (float("inf") if value == INFINITE else value for value in limit)
        if all(isinstance(x, (int, float)) and not isinstance(x, bool) for x in (low, high)) and low <= high:
            if not isinf(high):
                return [low, high]
            if low <= 0:
                return None
    raise config.fail("time_step_limit", f"found {limit!r}, expected two finite numbers, or 0 and infinity")


def _op(config: Config, frame: state_space.Frame) -> dict[str, Any]:
    n_heads, d_head = config.integer("num_heads", 128), config.integer("head_dim", 64)
    if config.integer("expand", 2) * frame.d_model != n_heads * d_head:
        raise config.fail("expand", f"expand * hidden_size must be num_heads * head_dim = {n_heads * d_head}")
    op: dict[str, Any] = {
        "type": "ssd",
        "n_heads": n_heads,
        "d_head": d_head,
        "d_state": config.integer("state_size", 128),
        "n_groups": config.integer("n_groups", 8),
        "d_conv": config.integer("conv_kernel", 4),
        "inner_norm": {"type": "rms", "eps": frame.eps},
        "bias": state_space.biases(config),
    }
    limit = _limit(config)
    return op | ({"dt_limit": limit} if limit else {})


def to_spec(config: Config, head: HeadKind) -> dict[str, Any]:
    frame = state_space.read(config, DEFAULTS)
    return state_space.spec(frame, _op(config, frame), head)


def tensors(config: Config, head: HeadKind) -> TensorMap:
    return state_space.tensors(state_space.read(config, DEFAULTS), "ssd", NAMES, state_space.biases(config), head)


def to_config(resolved: Resolved) -> dict[str, Any]:
    fields = state_space.fields(resolved)
    stack = resolved.stacks[resolved.output]
    op = operator(stack.bodies[stack.layers[0].body][0], Ssd)
    return fields | {
        "expand": state_space.expansion(op.n_heads * op.d_head, stack.d_model),
        "num_heads": op.n_heads,
        "head_dim": op.d_head,
        "state_size": op.d_state,
        "n_groups": op.n_groups,
        "conv_kernel": op.d_conv,
        "time_step_limit": [0.0, INFINITE] if op.dt_limit is None else [float(x) for x in op.dt_limit],
        **state_space.bias_fields(op.bias),
    }


FAMILY = Family(
    model_type="mamba2",
    spec=to_spec,
    tensors=tensors,
    config=to_config,
    heads={"Mamba2ForCausalLM": "tokens", "Mamba2Model": "none"},
    inert=state_space.INERT | {"time_step_rank"},
)
