"""Names: streams, stacks, inputs and outputs must exist; stacks must not read each other in a circle."""

from archspec.spec.error import SpecError, unknown
from archspec.spec.expand import Placed, Unresolved
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
        raise unknown("stack", spec.output, spec.stacks, spec._file, ("output",))
    return reads


def stack_order(spec: Spec, reads: dict[str, tuple[str, ...]]) -> list[str]:
    """Stacks, each after those it reads."""
    order: list[str] = []

    def visit(name: str, way: tuple[str, ...]) -> None:
        if name in way:
            circle = " -> ".join((*way[way.index(name) :], name))
            raise SpecError(f"stacks read each other in a circle: {circle}", spec._file, ("stacks",))
        if name not in order:
            for other in reads[name]:
                visit(other, (*way, name))
            order.append(name)

    for name in spec.stacks:
        visit(name, ())
    return order
