"""An emitted model of any kind, run through a state: its sources encoded once, its other inputs cut where they go by
token."""

from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor

from compiler.ir.program import Program
from tests.emit_torch.exact import cuts


def by_token(program: Program) -> set[str]:
    """Inputs of which a step takes its own part, positions that a caller may give among them."""
    inputs = {n for n, type_ in program.main.inputs.items() if len(type_.shape) > 1 and type_.shape[1] in ("S", "T")}
    return inputs | {node.attrs["given"] for node in program.main.nodes if node.op == "positions"}


def mask_of(program: Program, name: str) -> str:
    """The input that tells padding of the input `name`, "" where there is none."""
    masks = (n for n, kind in program.optional.items() if kind == "ones" and program.meta["ids"][n] == name)
    return next(masks, "")


@torch.no_grad()
def in_steps(model: Any, program: Program, given: Mapping[str, Tensor], sizes: Iterable[int]) -> Tensor:
    """The output put together from steps of these sizes, again and again."""
    own = dict(given)
    sources = {name: own.pop(name) for name in getattr(model, "source_names", ()) if name in own}
    first = getattr(model, "first_name", "") or next(n for n in program.main.inputs if n in own)
    cut, mask = by_token(program), mask_of(program, first)
    batch, length = own[first].shape[:2]
    state = model.new_state(batch, length + 1, *([model.encode(**sources)] if sources else []))
    parts = []
    for part in cuts(length, sizes):
        now = {name: x[:, part] if name in cut else x for name, x in own.items()}
        out, state = model.step(now.pop(first), state, now.pop(mask, None), **now)
        parts.append(out)
    return torch.cat(parts, 1)
