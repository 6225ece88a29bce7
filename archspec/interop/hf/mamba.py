"""Mamba. Defaults: transformers 5.23 `models/mamba/configuration_mamba.py` MambaConfig.

A file's `intermediate_size` wins over `expand`, from which it is otherwise made.
"""

from math import ceil
from typing import Any

from archspec.interop.hf import state_space
from archspec.interop.hf.config import Config
from archspec.interop.hf.family import Family, HeadKind
from archspec.interop.hf.reading import operator
from archspec.interop.tensor_map import TensorMap
from archspec.spec import Resolved
from archspec.spec.types import SelectiveScan

DEFAULTS = state_space.Defaults(vocab_size=50280, d_model=768, n_layers=32, tied=True)
NAMES = {
    "in.weight": "in_proj.weight",
    "x.weight": "x_proj.weight",
    "dt.weight": "dt_proj.weight",
    "a_log": "A_log",
    "d": "D",
    "out.weight": "out_proj.weight",
}


def _op(config: Config, d_model: int) -> dict[str, Any]:
    rank = config.get("time_step_rank", "auto")
    return {
        "type": "selective_scan",
        "d_inner": config.integer("intermediate_size", config.integer("expand", 2) * d_model, null=True),
        "d_state": config.integer("state_size", 16),
        "d_conv": config.integer("conv_kernel", 4),
        "dt_rank": ceil(d_model / 16) if rank == "auto" else config.integer("time_step_rank"),
        "bias": state_space.biases(config, always=("dt",)),
    }


def to_spec(config: Config, head: HeadKind) -> dict[str, Any]:
    frame = state_space.read(config, DEFAULTS)
    return state_space.spec(frame, _op(config, frame.d_model), head)


def tensors(config: Config, head: HeadKind) -> TensorMap:
    frame, bias = state_space.read(config, DEFAULTS), state_space.biases(config, always=("dt",))
    return state_space.tensors(frame, "selective_scan", NAMES, bias, head)


def to_config(resolved: Resolved) -> dict[str, Any]:
    fields = state_space.fields(resolved)
    stack = resolved.stacks[resolved.output]
    op = operator(stack.bodies[stack.layers[0].body][0], SelectiveScan)
    return fields | {
        **({} if op.d_inner % stack.d_model else {"expand": op.d_inner // stack.d_model}),
        "intermediate_size": op.d_inner,
        "state_size": op.d_state,
        "conv_kernel": op.d_conv,
        "time_step_rank": op.dt_rank,
        **state_space.bias_fields(op.bias),
    }


FAMILY = Family(
    model_type="mamba",
    spec=to_spec,
    tensors=tensors,
    config=to_config,
    heads={"MambaForCausalLM": "tokens", "MambaModel": "none"},
    inert=state_space.INERT - {"intermediate_size"},
)
