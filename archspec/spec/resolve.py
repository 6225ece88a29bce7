"""`resolve`: names, numbers, sources checked in this order; every default, formula and short form worked out."""

from dataclasses import replace

from archspec.spec.error import Path, SpecError
from archspec.spec.expand import Placed, Unresolved, expand
from archspec.spec.flow import check_causality, check_flow, check_sources, stack_order
from archspec.spec.names import check_names
from archspec.spec.numbers import Names, Scope, Surroundings, concrete
from archspec.spec.resolved import Layer, Resolved, ResolvedStack
from archspec.spec.shared import check_shared
from archspec.spec.steps import Body
from archspec.spec.tree import Head, Spec, Stack


def resolve(spec: Spec) -> Resolved:
    """Everything concrete; raises SpecError. Costs by distinct layer, not by layer."""
    scope = Scope(spec, Surroundings(), (), spec._file)
    kinds, placed = written_out(spec)
    found = check_names(spec, kinds)
    reads = {name: tuple(sources) for name, sources in found.items()}  # by all blocks
    used = {name: {layer.kind for layer in placed[name]} for name in spec.stacks}
    in_use = {name: tuple(s for s, by in found[name].items() if by & used[name]) for name in spec.stacks}
    stacks: dict[str, ResolvedStack] = {}
    places: dict[str, list[Path]] = {}
    for name, stack in spec.stacks.items():
        stacks[name], places[name] = _stack(name, stack, kinds[name], placed[name], in_use[name], scope)
    output = spec.output or _output(spec, reads)
    if unread := [name for name in spec.stacks if name != output and all(name not in by for by in reads.values())]:
        message = f"the stack {unread[0]!r} is read by no other and is not the output"
        raise SpecError(message, spec._file, ("stacks", unread[0]))
    resolved = Resolved(
        spec, spec.name, stacks, output, _head(spec, output, scope),
        scope.number("vocab_size"), scope.number("max_length"),
    )  # fmt: skip
    check_shared(resolved, places)
    for name, stack in spec.stacks.items():
        check_flow(name, stack, kinds[name], placed[name], scope.file)
    order = stack_order(spec, reads)
    for name in spec.stacks:
        check_sources(kinds[name], spec)
    needed = _reached(output, in_use)  # a stack that only a block without layers reads is left out with it
    return replace(resolved, stacks={name: stacks[name] for name in order if name in needed})


def _reached(output: str, reads: dict[str, tuple[str, ...]]) -> set[str]:
    """The output stack and all that it reads, directly or not."""
    found, pending = set[str](), [output]
    while pending:
        if (name := pending.pop()) not in found:
            found.add(name)
            pending += reads[name]
    return found


def written_out(spec: Spec) -> tuple[dict[str, list[Unresolved]], dict[str, list[Placed]]]:
    """Stack -> its kinds of layers and its layers in order, types inside `set` checked; raises SpecError."""
    scope = Scope(spec, Surroundings(), (), spec._file)
    kinds: dict[str, list[Unresolved]] = {}
    placed: dict[str, list[Placed]] = {}
    for name, stack in spec.stacks.items():
        kinds[name], placed[name] = expand(name, stack, Scope(stack, scope, ("stacks", name), spec._file))
    return kinds, placed


def _stack(
    name: str, stack: Stack, kinds: list[Unresolved], placed: list[Placed], reads: tuple[str, ...], spec_scope: Scope
) -> tuple[ResolvedStack, list[Path]]:
    """The stack, and where each of its bodies stands in the document."""
    file, path = spec_scope.file, ("stacks", name)
    counts = Surroundings(n_layers=len(placed))
    scope = Scope(stack, Names(counts, spec_scope), path, file)
    d_model = scope.number("d_model")
    single = isinstance(spec_scope.node, Spec) and _is_object(spec_scope.node, name)
    inputs = tuple(
        concrete(item, scope, (*path, "input") if single else (*path, "input", i), file)
        for i, item in enumerate(stack.input)
    )
    final_norm = stack.final_norm and concrete(stack.final_norm, scope, (*path, "final_norm"), file)

    bodies, layers, places = _layers(stack, kinds, placed, spec_scope, path)
    streams = dict(stack.streams) or {"x": stack.input[0].name if len(stack.input) == 1 else "input"}
    resolved = ResolvedStack(name, d_model, inputs, streams, bodies, layers, stack.final_read, final_norm, reads)
    return resolved, places


def _layers(
    stack: Stack, kinds: list[Unresolved], placed: list[Placed], spec_scope: Scope, path: Path
) -> tuple[tuple[Body, ...], tuple[Layer, ...], list[Path]]:
    """Distinct bodies, layers, and where each body stands. A kind that does not use `layer` is resolved once."""
    bodies: dict[Body, int] = {}
    fixed: dict[int, int] = {}  # kind -> body, for kinds that do not depend on the layer number
    layers: list[Layer] = []
    places: list[Path] = []

    def resolved(kind: int, number: int) -> tuple[Body, bool]:
        around = Surroundings(layer=number, n_layers=len(placed))
        body = _body(kinds[kind], Scope(stack, Names(around, spec_scope), path, spec_scope.file))
        return body, around.uses_layer

    for number, layer in enumerate(placed):
        index = fixed.get(layer.kind)
        if index is None:
            body, by_layer = resolved(layer.kind, number)
            index = bodies.setdefault(body, len(bodies))
            if index == len(places):
                places.append(kinds[layer.kind].path)
            if not by_layer:
                fixed[layer.kind] = index
        layers.append(Layer(index, layer.weights))
    for kind in set(range(len(kinds))) - {layer.kind for layer in placed}:
        resolved(kind, 0)  # a block that no layer uses is checked all the same
    return tuple(bodies), tuple(layers), places


def _is_object(spec: Spec, name: str) -> bool:
    document = spec._document.get("stacks", {}).get(name, {})
    return isinstance(document, dict) and isinstance(document.get("input"), dict)


def _body(kind: Unresolved, scope: Scope) -> Body:
    try:
        body = tuple(concrete(step, scope, (*kind.path, i), scope.file) for i, step in enumerate(kind.body))
        check_causality(body, kind.path, scope.file)
        return body
    except SpecError as error:
        raise SpecError(error.message, scope.file, kind.place(error.parts)) from None


def _output(spec: Spec, reads: dict[str, tuple[str, ...]]) -> str:
    free = [name for name in spec.stacks if all(name not in others for others in reads.values())]
    if not free:
        stack_order(spec, reads)  # says which stacks read each other
    if len(free) != 1:
        raise SpecError(
            f"the output stack cannot be told: {', '.join(free)} are read by no other stack; name one as `output`",
            spec._file,
            ("output",),
        )
    return free[0]


def _head(spec: Spec, output: str, scope: Scope) -> Head | None:
    if spec.head is None:
        return None
    stack = Scope(spec.stacks[output], scope, ("stacks", output), scope.file)
    around = Names({"d_model": stack.number("d_model")}, scope)
    head: Head = concrete(spec.head, around, ("head",), scope.file)
    return head
