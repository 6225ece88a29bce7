"""Shared weights: equal names must mean equal shapes."""

from typing import Any

from archspec.spec.error import Path, SpecError
from archspec.spec.inputs import AdaptiveTokens, Tokens
from archspec.spec.names import nodes
from archspec.spec.node import Node, Owner
from archspec.spec.norms import LinearMap
from archspec.spec.resolved import Resolved
from archspec.spec.tree import AdaptiveSoftmax, LinearLogits

Shape = tuple[Any, ...]


def check_shared(resolved: Resolved, places: dict[str, list[Path]]) -> None:
    """Raises SpecError where two owners of one name have parameters of different shapes.

    `places`: stack -> where each of its bodies stands in the document.
    """
    known: dict[str, tuple[Shape, Path]] = {}
    file = resolved.spec._file
    for name, stack in resolved.stacks.items():
        base: Path = ("stacks", name)
        _compare(stack.inputs, stack.d_model, (*base, "input"), known, file)
        prefixes: dict[str, int] = {}
        for body, place in zip(stack.bodies, places[name], strict=True):
            _compare(body, stack.d_model, place, known, file, {})
        for number, layer in enumerate(stack.layers):
            if layer.weights is None:
                continue
            first = prefixes.setdefault(layer.weights, layer.body)
            if first != layer.body and _all(stack.bodies[first], stack.d_model) != _all(
                stack.bodies[layer.body], stack.d_model
            ):
                raise SpecError(
                    f"layer {number} shares the weights {layer.weights!r} with a layer of other shapes",
                    file, (*base, "layers"),
                )  # fmt: skip
        if stack.final_norm is not None:
            _compare(stack.final_norm, stack.d_model, (*base, "final_norm"), known, file)
    if resolved.head is not None:
        width = resolved.stacks[resolved.output].d_model
        for step in resolved.head.then:
            width = step.width if isinstance(step, LinearMap) else width
        _compare(resolved.head, width, ("head",), known, file)
        _adaptive(resolved, file)


def _adaptive(resolved: Resolved, file: str) -> None:
    """Adaptive embeddings and an adaptive softmax belong together: equal cutoffs."""
    logits = resolved.head.logits if resolved.head else None
    if not isinstance(logits, AdaptiveSoftmax):
        return
    for item in resolved.stacks[resolved.output].inputs:
        for part in item.sum:
            if isinstance(part, AdaptiveTokens) and part.cutoffs != logits.cutoffs:
                message = f"found {list(logits.cutoffs)}; the adaptive tokens have {list(part.cutoffs)}"
                raise SpecError(message, file, ("head", "logits", "cutoffs"))


def _compare(
    value: Any, width: int, path: Path, known: dict[str, tuple[Shape, Path]], file: str,
    local: dict[str, tuple[Shape, Path]] | None = None,
) -> None:  # fmt: skip
    for node, place in nodes(value, path):
        if not isinstance(node, Owner) or node.weights is None:
            continue
        names = known if node.weights.startswith("/") or local is None else local
        shape = shape_of(node, width)
        first, where = names.setdefault(node.weights, (shape, place))
        if first != shape:
            raise SpecError(
                f"the weights {node.weights!r} are {_shown(shape)} here and {_shown(first)} at "
                f"/{'/'.join(map(str, where))}; shared weights must have one shape",
                file, (*place, "weights"),
            )  # fmt: skip


def shape_of(node: Node, width: int) -> Shape:
    """What decides the shapes of a node's parameters; `width` is that of what it reads."""
    match node:
        case Tokens(size=size, width=columns):
            return ("table", size, columns)
        case LinearLogits(size=size):
            return ("table", size, width)
        case AdaptiveTokens() | AdaptiveSoftmax():
            return ("adaptive table", node.size, node.cutoffs, node.divide)
    fields = (node.__dict__[name] for name in getattr(type(node), "SHAPE", ()))
    kind = node.__dict__.get("type", type(node).__name__)
    return (kind, width, *(shape_of(f, width) if isinstance(f, Node) else f for f in fields))


def _all(body: tuple[Node, ...], width: int) -> list[Shape]:
    return [shape_of(node, width) for node, _ in nodes(body, ()) if isinstance(node, Owner)]


def _shown(shape: Shape) -> str:
    kind, *sizes = shape
    return f"a {kind} of {' x '.join(map(str, sizes))}"
