"""Names: streams, stacks, inputs and outputs must exist; stacks must not read each other in a circle."""

from difflib import get_close_matches

from archspec.errors import InputError
from archspec.spec import pointer
from archspec.spec.expand import Placed, Unresolved
from archspec.spec.numbers import Path
from archspec.spec.resolved import branches
from archspec.spec.tree import Spec


def check_names(
    spec: Spec, kinds: dict[str, list[Unresolved]], placed: dict[str, list[Placed]]
) -> dict[str, tuple[str, ...]]:
    """Stack -> the other stacks that it reads."""
    reads: dict[str, tuple[str, ...]] = {}
    for name in spec.stacks:
        found: dict[str, None] = {}
        for kind in kinds[name]:
            for branch in branches(kind.body):
                source = getattr(branch.op, "source", "self")
                if source in spec.stacks:
                    found[source] = None
                for keys in getattr(branch.op, "extra_keys", ()):
                    if getattr(keys, "name", None) in spec.stacks:
                        found[keys.name] = None
        reads[name] = tuple(found)
    if spec.output is not None and spec.output not in spec.stacks:
        near = get_close_matches(spec.output, list(spec.stacks), 1)
        hint = f", did you mean {near[0]!r}?" if near else ""
        raise InputError(f"unknown stack {spec.output!r}{hint}", source=spec._file, path="/output")
    return reads


def stack_order(spec: Spec, reads: dict[str, tuple[str, ...]]) -> list[str]:
    """Stacks, each after those it reads."""
    order: list[str] = []

    def visit(name: str, way: tuple[str, ...]) -> None:
        if name in way:
            circle = " -> ".join((*way[way.index(name) :], name))
            raise InputError(f"stacks read each other in a circle: {circle}", source=spec._file, path="/stacks")
        if name not in order:
            for other in reads[name]:
                visit(other, (*way, name))
            order.append(name)

    for name in spec.stacks:
        visit(name, ())
    return order


def unknown(what: str, name: str, known: list[str], path: Path, file: str) -> InputError:
    near = get_close_matches(name, known, 1)
    hint = f", did you mean {near[0]!r}?" if near else ""
    message = f"unknown {what} {name!r}{hint}; there are: {', '.join(known)}"
    return InputError(message, source=file, path=pointer.join(path))
