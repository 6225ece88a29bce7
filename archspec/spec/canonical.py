"""The canonical form and the two hashes.

Short forms, `like`, `set`, `repeat` and formulas are worked out; names of the spec, blocks, branches, streams, stacks
and inputs are dropped or given by first use, shared weights too; fields that equal their default are left out, so that
a field added later leaves old hashes alone. Nothing is normalised by meaning: a window wider than the context stays a
window. The canonical form is itself a spec, and its own canonical form.
"""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from archspec.spec.attention import Attention, OwnProjections, StreamKeys
from archspec.spec.formula import FormulaError, evaluate, is_formula
from archspec.spec.inputs import Input
from archspec.spec.masks import And, Or, Sees, SegmentNamed
from archspec.spec.node import Node
from archspec.spec.positions import RelativeVectors, Rope
from archspec.spec.resolve import resolve
from archspec.spec.resolved import Resolved, ResolvedStack, branches
from archspec.spec.steps import Branch, ConcatRead, FirstPresentRead, Resample, SumRead
from archspec.spec.tree import Precision, Spec
from archspec.spec.walk import number_fields

LANGUAGE_MAJOR = 1
# Fields whose order has no meaning.
_UNORDERED = {(Rope, "rotates"), (RelativeVectors, "terms"), (OwnProjections, "of")}  # and every `bias`
# Fields that name a stream or a stack.
_STREAM_FIELDS = {
    (Branch, "read"), (Branch, "write"), (Resample, "read"), (Resample, "write"), (StreamKeys, "name"),
    (Attention, "source"), (Sees, "source"), (ConcatRead, "concat"), (SumRead, "sum"),
    (FirstPresentRead, "first_present"),
}  # fmt: skip
_DROPPED = {(Branch, "name"), (Input, "name")}


def canonical(spec: Spec | Resolved) -> dict[str, Any]:
    """The architecture alone, as JSON: equal for two specs exactly if their `spec_hash` is."""
    return _Canonical(spec if isinstance(spec, Resolved) else resolve(spec)).document()


def spec_hash(spec: Spec | Resolved) -> str:
    """What identifies the architecture: quality is kept under it. 64 hexadecimal digits."""
    return _digest(canonical(spec))


def variant_hash(spec: Spec | Resolved) -> str:
    """The architecture with its precision and maximal length: evaluations are kept under it."""
    return hashes(spec)[1]


def hashes(spec: Spec | Resolved) -> tuple[str, str]:
    """`spec_hash` and `variant_hash`, the canonical form made once."""
    resolved = spec if isinstance(spec, Resolved) else resolve(spec)
    own = spec_hash(resolved)
    return own, _digest([own, canonical_precision(resolved.spec.precision), resolved.max_length])


def canonical_precision(precision: Precision) -> dict[str, Any]:
    """Precision with defaults left out; what equals the activations' type is a default of cache and residual."""
    plain: dict[str, Any] = _plain(precision, {}, None)
    return {
        key: value
        for key, value in plain.items()
        if not (key in ("cache", "residual") and value == precision.activations)
    }


def plain(node: Node, around: Mapping[str, Any]) -> Any:
    """A resolved node as JSON without what equals a default, names as written. `around`: numbers of the objects
    around it."""
    return _plain(node, around, None)


def _digest(document: Any) -> str:
    return hashlib.sha256(text(document).encode()).hexdigest()


def text(document: Any) -> str:
    """JSON with sorted keys and no spaces."""
    return json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


class _Names:
    """New names by first use: w0, w1, ..."""

    def __init__(self, stem: str, first: str | None = None) -> None:
        self.stem, self.first = stem, first
        self.known: dict[str, str] = {}

    def __getitem__(self, name: str) -> str:
        if name not in self.known:
            number = len(self.known)
            self.known[name] = self.first if number == 0 and self.first is not None else f"{self.stem}{number}"
        return self.known[name]


class _Renaming:
    """The new names inside one stack."""

    def __init__(self, stacks: Mapping[str, str], shared: _Names, declared: frozenset[str]) -> None:
        self.stacks, self.shared, self.declared = stacks, shared, declared
        self.streams = _Names("x", "x")
        self.inputs = _Names("text", "text")
        self.local = _Names("w")

    def stream(self, name: str) -> str:
        if name in ("self", "input"):
            return name
        if name in self.stacks and name not in self.declared:
            return self.stacks[name]
        return self.streams[name]

    def weights(self, name: str) -> str:
        return "/" + self.shared[name] if name.startswith("/") else self.local[name]


class _Canonical:
    def __init__(self, resolved: Resolved) -> None:
        self.resolved = resolved
        self.shared = _Names("w")
        self.order = self._stack_order()
        self.stack_names = {name: f"s{i}" for i, name in enumerate(self.order)}
        self.outer: dict[str, Any] = {"vocab_size": resolved.vocab_size} if resolved.vocab_size is not None else {}

    def document(self) -> dict[str, Any]:
        resolved = self.resolved
        document: dict[str, Any] = {"archspec": LANGUAGE_MAJOR, **self.outer}
        document["stacks"] = {self.stack_names[name]: self._stack(resolved.stacks[name]) for name in self.order}
        read = {other for stack in resolved.stacks.values() for other in stack.reads}
        if len(set(self.order) - read) > 1:
            document["output"] = self.stack_names[resolved.output]
        if resolved.head is not None:
            outer = {**self.outer, "d_model": resolved.stacks[resolved.output].d_model}
            document["head"] = _plain(resolved.head, outer, _Renaming({}, self.shared, frozenset()))
        return document

    def _stack_order(self) -> list[str]:
        """Stacks after those they read, seen from the output, so that the order in the document does not matter."""
        order: list[str] = []

        def visit(name: str) -> None:
            if name not in order:
                for other in self.resolved.stacks[name].reads:
                    visit(other)
                order.append(name)

        visit(self.resolved.output)
        for name in self.resolved.stacks:
            visit(name)
        return order

    def _stack(self, stack: ResolvedStack) -> dict[str, Any]:
        names = _Renaming(self.stack_names, self.shared, _declared(stack))
        outer = {**self.outer, "d_model": stack.d_model}
        single = len(stack.inputs) == 1
        inputs = []
        for item in stack.inputs:
            plain = _plain(item, outer, names)
            inputs.append(plain if single else {"name": names.inputs[item.name], **plain})
        bodies: dict[str, str] = {}
        blocks: dict[str, Any] = {}
        of_body = []
        for body in stack.bodies:
            names.local = _Names("w")
            steps = [_plain(step, outer, names) for step in body]
            key = text(steps)
            if key not in bodies:
                bodies[key] = f"b{len(bodies)}"
                blocks[bodies[key]] = steps
            of_body.append(bodies[key])
        layers = [
            {"block": of_body[layer.body], "weights": names.weights(layer.weights)}
            if layer.weights
            else of_body[layer.body]
            for layer in stack.layers
        ]
        final_read = _plain_value(stack.final_read, outer, names, Branch, "read")
        plain = {"d_model": stack.d_model, "input": inputs[0] if single else inputs}
        streams = {names.stream(name): self._from(value, names) for name, value in stack.streams.items()}
        if streams != {"x": "text" if single else "input"}:
            plain["streams"] = streams
        if blocks:
            plain |= {"blocks": blocks, "layers": layers}
        if final_read != "x":
            plain["final_read"] = final_read
        if stack.final_norm is not None:
            plain["final_norm"] = _plain(stack.final_norm, outer, names)
        return plain

    @staticmethod
    def _from(value: str, names: _Renaming) -> str:
        return value if value in ("zero", "input") else names.inputs[value]


def _declared(stack: ResolvedStack) -> frozenset[str]:
    written = {branch.write for body in stack.bodies for branch in branches(body)}
    return frozenset(written | set(stack.streams))


def _plain(node: Node, around: Mapping[str, Any], names: _Renaming | None) -> Any:
    """`node` as JSON without what equals a default; a bare string where only `type` is left."""
    cls = type(node)
    env = {**around, **{k: v for k in number_fields(cls) if isinstance(v := node.__dict__[k], int | float)}}
    plain: dict[str, Any] = {}
    for name, info in cls.model_fields.items():
        value, default = node.__dict__[name], info.default
        if name == "type" or (cls, name) in _DROPPED or (value is default and names is None):
            continue
        new = _plain_value(value, env, names, cls, name)
        if is_formula(default):
            default = _default(default, name, env)
        if info.is_required() or new != _plain_value(default, env, None, cls, name):
            plain[name] = new
    if isinstance(node, And | Or):
        plain["of"] = _flattened(node.type, plain["of"])
    if "type" not in cls.model_fields:
        return plain
    kind = node.__dict__["type"]
    return {"type": kind, **plain} if plain else kind


def _default(formula: str, name: str, env: Mapping[str, Any]) -> Any:
    """The value of a default; one that hangs on the maximal length is none, for the hash does not know that length."""
    try:
        return evaluate(formula, {k: v for k, v in env.items() if k != name})
    except FormulaError:
        return None


def _plain_value(value: Any, env: Mapping[str, Any], names: _Renaming | None, cls: type[Node], field: str) -> Any:
    if isinstance(value, Node):
        return _plain(value, env, names)
    if isinstance(value, tuple):
        items = [_plain_value(item, env, names, cls, field) for item in value]
        return sorted(items) if (cls, field) in _UNORDERED or field == "bias" else items
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, str) and names is not None:
        if field == "weights":
            return names.weights(value)
        if (cls, field) in _STREAM_FIELDS:
            return names.stream(value)
        if cls is SegmentNamed:
            return names.inputs[value]
    return value


def _flattened(kind: str, items: list[Any]) -> list[Any]:
    """`and` inside `and` (`or` inside `or`) spliced in, then sorted: both are associative and commutative."""
    flat: list[Any] = []
    for item in items:
        flat += item["of"] if isinstance(item, dict) and item["type"] == kind else [item]
    return sorted(flat, key=text)
