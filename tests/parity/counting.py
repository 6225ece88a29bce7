"""Parameters of a reference, counted from its tensors, and those that one token uses, by what its gradient reaches."""

from collections.abc import Callable, Collection

import torch
from torch import Tensor, nn

from archspec.spec import Resolved
from compiler.cost.report import cost


def total(model: nn.Module, unread: Collection[str] = ()) -> int:
    """Elements of all parameters, tied ones once, less those named here, which the forward never reads."""
    return sum(x.numel() for name, x in model.named_parameters() if name not in unread)


def used(model: nn.Module, one_token: Callable[[], Tensor], unread: Collection[str] = ()) -> int:
    """Elements of the parameters that reach the output of one token: of experts those it chose, all others whole.

    An expert is a module of its own with "experts" in its name, or a slice of a parameter with that in its name.
    """
    model.zero_grad(set_to_none=True)
    with torch.enable_grad():
        one_token().square().sum().backward()
    found = 0
    for name, value in model.named_parameters():
        if name in unread:
            continue
        if "experts" not in name:
            found += value.numel()
        elif value.grad is not None:
            # A matrix of all experts has their number as its first axis; that of one expert counts whole if it is hit.
            hit = value.grad.flatten(1).abs().amax(1) > 0 if value.dim() > 2 else value.grad.abs().amax()[None] > 0
            found += int(hit.sum()) * value.numel() // len(hit)
    model.zero_grad(set_to_none=True)
    return found


def counts(spec: Resolved, model: nn.Module, one_token: Callable[[], Tensor], unread: Collection[str] = ()) -> None:
    """Total, stored and active parameters of the spec are those of the reference."""
    ours = cost(spec).parameters
    assert (ours.total, ours.stored) == (total(model, unread), total(model, unread))
    assert ours.active == used(model, one_token, unread) < ours.total
