"""A reference's parameters, counted from its tensors; those that one token uses, by what its gradient reaches; and its
operations, by torch's counter."""

import re
from collections.abc import Callable, Collection
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from archspec.spec import Resolved
from compiler.cost.report import cost


def parameters(model: nn.Module, unread: Collection[str] = ()) -> dict[str, Tensor]:
    """All parameters, tied ones once, and a router's selection biases, which are buffers in transformers; less those
    named here, which the forward never reads."""
    biases = {name: x for name, x in model.named_buffers() if name.endswith("correction_bias")}
    return {name: x for name, x in [*model.named_parameters(), *biases.items()] if name not in unread}


def used(model: nn.Module, one_token: Callable[[], Tensor], unread: Collection[str] = ()) -> int:
    """Elements of the parameters that reach the output of one token: of experts those it chose, all others whole.

    Experts are numbered modules, or slices of parameters, with "experts" in their names (but "shared_experts").
    """
    model.zero_grad(set_to_none=True)
    with torch.enable_grad():
        one_token().square().sum().backward()
    found = 0
    for name, value in parameters(model, unread).items():
        if not re.search(r"(?<!shared_)experts", name):
            found += value.numel()
        elif value.grad is not None:
            slices = 1 if re.search(r"experts\.\w*\d", name) else len(value)
            hit = value.grad.reshape(slices, -1).abs().amax(1) > 0
            found += int(hit.sum()) * value.numel() // slices
    model.zero_grad(set_to_none=True)
    return found


def counts(spec: Resolved, model: nn.Module, one_token: Callable[[], Tensor], unread: Collection[str] = ()) -> None:
    """Total, stored and active parameters of the spec are those of the reference."""
    ours = cost(spec).parameters
    total = sum(x.numel() for x in parameters(model, unread).values())
    assert (ours.total, ours.stored) == (total, total)
    assert ours.active == used(model, one_token, unread) < ours.total


@torch.no_grad()
def operations(spec: Resolved, model: Any, **inputs: Tensor) -> None:
    """The forward's operations are those of every matrix product that the reference executes, experts one by one."""
    if hasattr(model, "set_experts_implementation"):
        model.set_experts_implementation("eager")
    model.set_attn_implementation("eager")
    with FlopCounterMode(display=False) as counter:
        model(**inputs, use_cache=False)
    batch, length = inputs["input_ids"].shape
    assert cost(spec, context=length, batch=batch).flops.prefill == counter.get_total_flops()
