"""Causality and sources: no circles among stacks, nothing read before it exists, no recurrence over a full mask."""

from typing import Any

from archspec.spec.attention import Attention, CompressedPast
from archspec.spec.error import Path, SpecError
from archspec.spec.expand import Placed, Unresolved
from archspec.spec.masks import And, ByHead, ByLength, Causal, Mask, Or, Segment, Self, Window
from archspec.spec.mixers import LinearAttention, NoDecay
from archspec.spec.names import nodes, read_names
from archspec.spec.steps import Add, Parallel, Step
from archspec.spec.tree import Spec, Stack

# Positions that speak of a query's place beside a key's; the others speak of one of the two.
DISTANCES = ("rope", "alibi", "relative_bias", "relative_vectors", "relative_segments")


def stack_order(spec: Spec, reads: dict[str, tuple[str, ...]]) -> list[str]:
    """Stacks, each after those it reads; raises SpecError for a circle."""
    order: list[str] = []

    def visit(name: str, way: tuple[str, ...]) -> None:
        if name in way:
            circle = " -> ".join((*way[way.index(name) :], name))
            raise SpecError(f"stacks read each other in a circle: {circle}", spec._file, ("stacks", name))
        if name not in order:
            for other in reads[name]:
                visit(other, (*way, name))
            order.append(name)

    for name in spec.stacks:
        visit(name, ())
    return order


def check_flow(name: str, stack: Stack, kinds: list[Unresolved], placed: list[Placed], file: str) -> None:
    """Every stream exists before it is read or added to, and whatever is declared as zero is written."""
    existing = frozenset(stack.streams or ["x"])
    written = {stream for number in {layer.kind for layer in placed} for stream in _writes(kinds[number])}
    for stream, source in stack.streams.items():
        if source == "zero" and stream not in written:
            raise SpecError(f"the stream {stream!r} is never written", file, ("stacks", name, "streams", stream))
    seen: dict[tuple[int, frozenset[str]], frozenset[str]] = {}
    for layer in placed:
        key = (layer.kind, existing)
        if key not in seen:
            seen[key] = _after(kinds[layer.kind], existing, written, file)
        existing = seen[key]
    first_present = not isinstance(stack.final_read, str) and hasattr(stack.final_read, "first_present")
    missing = [stream for stream in read_names(stack.final_read) if stream not in existing and stream != "input"]
    if missing and not (first_present and len(missing) < len(read_names(stack.final_read))):
        raise SpecError(f"the stream {missing[0]!r} is never written", file, ("stacks", name, "final_read"))


def _writes(kind: Unresolved) -> list[str]:
    return [node.write for node, _ in nodes(kind.body, ()) if hasattr(node, "read") and hasattr(node, "write")]


def _after(kind: Unresolved, existing: frozenset[str], streams: set[str], file: str) -> frozenset[str]:
    """The streams that exist after a layer; raises SpecError for one read before."""

    def fail(message: str, *place: str | int) -> SpecError:
        return SpecError(message, file, kind.place((*kind.path, *place)))

    for i, step in enumerate(kind.body):
        new = set(existing)
        for branch, place in _branches(step, i):
            if not hasattr(branch.read, "first_present"):
                for stream in read_names(branch.read):
                    if stream not in existing and stream != "input":
                        raise fail(f"the stream {stream!r} is read before it is written", *place, "read")
            source = getattr(getattr(branch, "op", None), "source", "self")
            if source in streams and source not in existing:
                raise fail(f"the stream {source!r} is read before it is written", *place, "op", "source")
            residual = getattr(branch, "residual", None)
            normed = branch if not isinstance(step, Parallel) or step.pre_norm is None else step
            if getattr(residual, "of", "") == "pre_norm" and normed.pre_norm is None:
                raise fail("there is no pre_norm whose output could be kept", *place, "residual", "of")
            adds = residual is not None and residual.type != "replace"
            from_stream = not (isinstance(residual, Add) and residual.of == "pre_norm")
            if adds and from_stream and branch.write not in existing:
                raise fail(
                    f"there is no {branch.write!r} to add to: declare it in `streams`, or use the residual 'replace'",
                    *place, "write",
                )  # fmt: skip
            new.add(branch.write)
        existing = frozenset(new)
    return existing


def _branches(step: Step, number: int) -> list[tuple[Any, Path]]:
    if isinstance(step, Parallel):
        return [(branch, (number, "parallel", i)) for i, branch in enumerate(step.parallel)]
    return [(step, (number,))]


def check_causality(body: tuple[Step, ...], path: Path, file: str) -> None:
    """Ops whose fields contradict each other about time, in a concrete body; raises SpecError."""
    for node, place in nodes(body, path):
        if isinstance(node, LinearAttention) and node.mask.type == "full":
            if not isinstance(node.decay, NoDecay):
                raise SpecError("a decay runs forward in time: it needs the mask 'causal'", file, (*place, "mask"))
            if node.rule == "delta":
                raise SpecError("the delta rule needs the mask 'causal'", file, (*place, "mask"))
        if isinstance(node, Attention):
            if node.key_map is not None and node.mask.type != "full":
                message = "a key map mixes positions, so no mask can tell them apart: use the mask 'full'"
                raise SpecError(message, file, (*place, "mask"))
            for i, term in enumerate(node.position if node.key_map is not None else ()):
                if term.type != "temperature":  # which speaks of the query's own place
                    message = f"a key map mixes positions, so {term.type!r} finds no place of a key"
                    raise SpecError(message, file, (*place, "position", i))
            compressed = any(isinstance(keys, CompressedPast) for keys in node.extra_keys)
            if compressed and not looks_back(node.mask):
                raise SpecError("compressed_past needs a causal mask", file, (*place, "mask"))


def check_sources(kinds: list[Unresolved], spec: Spec) -> None:
    """No attention to another stack asks how far a query is from a key; raises SpecError."""
    for kind in kinds:
        for node, place in nodes(kind.body, kind.path):
            if not isinstance(node, Attention) or node.source not in spec.stacks:
                continue
            for i, term in enumerate(node.position):
                if term.type in DISTANCES:
                    message = f"{term.type!r} tells places apart, and the places of two stacks have nothing in common"
                    raise SpecError(message, spec._file, kind.place((*place, "position", i)))


def looks_back(mask: Mask) -> bool:
    """Whether this mask surely shows nothing after the query."""
    match mask:
        case Causal() | Self() | Segment():
            return True
        case Window(ahead=ahead, block=block):
            return ahead == 0 and block == 1
        case And(of=of):
            return any(map(looks_back, of))
        case Or(of=of) | ByHead(of=of):
            return all(map(looks_back, of))
        case ByLength(then=then, otherwise=otherwise):
            return looks_back(then) and looks_back(otherwise)
    return False
