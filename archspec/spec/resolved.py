"""What `resolve` returns: the spec with every short form, formula, `like`, `set` and `repeat` worked out."""

from dataclasses import dataclass

from archspec.spec.inputs import Input
from archspec.spec.norms import Norm
from archspec.spec.steps import Body, Branch, Parallel, Read
from archspec.spec.tree import Head, Spec


@dataclass(frozen=True)
class Layer:
    body: int  # index into the stack's bodies
    weights: str | None = None  # a shared parameter prefix ("/s"), or None: "<stack>.<layer number>"


@dataclass(frozen=True)
class ResolvedStack:
    name: str
    d_model: int
    inputs: tuple[Input, ...]
    streams: dict[str, str]  # stream -> input name, "zero", or "input": all inputs joined
    bodies: tuple[Body, ...]  # distinct layer bodies
    layers: tuple[Layer, ...]
    final_read: Read
    final_norm: Norm | None
    reads: tuple[str, ...] = ()  # the other stacks that it reads


@dataclass(frozen=True)
class Resolved:
    spec: Spec
    name: str
    stacks: dict[str, ResolvedStack]  # a stack comes after those it reads
    output: str
    head: Head | None
    vocab_size: int | None
    max_length: int | None


def branches(body: Body) -> tuple[Branch, ...]:
    """The branches of a layer in the order written, those of parallel steps included."""
    found: list[Branch] = []
    for step in body:
        if isinstance(step, Branch):
            found.append(step)
        elif isinstance(step, Parallel):
            found += step.parallel
    return tuple(found)


def branch_names(body: Body) -> tuple[str, ...]:
    """The name of each branch of `branches(body)` in parameter paths: its name, else its op type; repeated ones are
    numbered `_2`, `_3`."""
    names: list[str] = []
    for branch in branches(body):
        stem, number = branch.name or branch.op.type, 1
        name = stem
        while name in names:
            number += 1
            name = f"{stem}_{number}"
        names.append(name)
    return tuple(names)
