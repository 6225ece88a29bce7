"""Numbers after formulas: each field gets its value, within bounds, seen from the objects around it."""

from collections.abc import Iterator, Mapping
from typing import Any

from archspec.spec.error import Path, SpecError
from archspec.spec.formula import FormulaError, Value, evaluate, is_formula, names
from archspec.spec.node import Node, Number
from archspec.spec.walk import number_fields


class Surroundings(dict[str, Value]):
    """The outermost names (`layer`, `n_layers`, sizes of the spec); remembers whether `layer` was asked for."""

    uses_layer = False

    def __getitem__(self, name: str) -> Value:
        value = super().__getitem__(name)
        if name == "layer":
            self.uses_layer = True
        return value


class Names(Mapping[str, Value]):
    """The names of `first`, then those of `second`; nothing is looked up before it is asked for."""

    __slots__ = ("first", "second")

    def __init__(self, first: Mapping[str, Value], second: Mapping[str, Value]) -> None:
        self.first, self.second = first, second

    def __getitem__(self, name: str) -> Value:
        return self.first[name] if name in self.first else self.second[name]

    def __iter__(self) -> Iterator[str]:
        return iter(dict.fromkeys([*self.first, *self.second]))

    def __len__(self) -> int:
        return len(list(iter(self)))


class Scope(Mapping[str, Value]):
    """The names that a formula in `node` may use: its own number fields, then those of the objects around it."""

    __slots__ = ("around", "busy", "done", "file", "node", "numbers", "path")

    def __init__(self, node: Node, around: "Mapping[str, Value]", path: Path, file: str) -> None:
        self.node, self.around, self.path, self.file = node, around, path, file
        self.numbers = number_fields(type(node))
        self.done: dict[str, Any] = {}
        self.busy: set[str] = set()

    def __contains__(self, name: object) -> bool:
        own = name in self.numbers and isinstance(self.node.__dict__[name], int | float | str)
        return own or name in self.around

    def __getitem__(self, name: str) -> Value:
        if name in self.numbers and isinstance(self.node.__dict__[name], int | float | str):
            value = self.number(name)
            if not isinstance(value, tuple):
                return value
        return self.around[name]

    def __iter__(self) -> Iterator[str]:
        own = [name for name in self.numbers if isinstance(self.node.__dict__[name], int | float | str)]
        yield from own
        yield from (name for name in self.around if name not in own)

    def __len__(self) -> int:
        return len(list(iter(self)))

    def number(self, name: str) -> Any:
        """The value of one of the node's own number fields; raises SpecError."""
        if name not in self.done:
            if name in self.busy:
                raise self.error(name, f"the formula {self.node.__dict__[name]!r} depends on itself")
            self.busy.add(name)
            self.done[name] = self._value(name, self.node.__dict__[name], self.numbers[name])
        return self.done[name]

    def _value(self, name: str, value: Any, number: Number) -> Any:
        if value is None:
            return None
        if isinstance(value, tuple):
            return tuple(self._value(name, item, number) for item in value)
        if is_formula(value):
            try:
                if number.per_head:
                    return self._by_head(name, value, number)
                value = self._checked(name, evaluate(value, self), number, f" (= {value[1:]})")
            except FormulaError as error:
                given = name in self.node.model_fields_set
                missing = "" if given else f"not given, and its default {value!r} has no value: "
                raise self.error(name, missing + str(error)) from None
            return value
        return self._checked(name, value, number, "")

    def _by_head(self, name: str, text: str, number: Number) -> Any:
        """One value if the formula does not use `head`, else one for each."""
        if "n_heads" not in self.around:
            return evaluate(text, self)
        known = {name: self[name] for name in names(text) if name != "head" and name in self}  # looked up once
        if not known.keys() | {"head"} >= names(text):
            return evaluate(text, Names({"head": 0}, self))  # says which name is unknown
        values = tuple(evaluate(text, {**known, "head": head}) for head in range(int(self.around["n_heads"])))
        return values[0] if all(value == values[0] for value in values) else values

    def _checked(self, name: str, value: Value, number: Number, origin: str) -> Value:
        if number.whole and isinstance(value, float):
            if not value.is_integer():
                raise self.error(name, f"found {value:.6g}{origin}, not a whole number; allowed is {number.allowed()}")
            value = int(value)
        if problem := number.problem(value):
            raise self.error(name, problem + origin)
        return value

    def error(self, field: str, message: str) -> SpecError:
        """`field` may be a place below this node: "router/top_k"."""
        return SpecError(message, self.file, (*self.path, *field.split("/")))


def concrete(node: Any, around: Mapping[str, Value], path: Path, file: str) -> Any:
    """`node` with a number in every number field and every rule checked. The same object where nothing changes."""
    scope = Scope(node, around, path, file)
    values: dict[str, Any] = {}
    changed = False
    for name, value in node.__dict__.items():
        if name in scope.numbers:
            new = scope.number(name)
        elif isinstance(value, Node):
            new = concrete(value, scope, (*path, name), file)
        elif isinstance(value, tuple) and value and isinstance(value[0], Node):
            new = tuple(concrete(item, scope, (*path, name, i), file) for i, item in enumerate(value))
            if all(a is b for a, b in zip(new, value, strict=True)):
                new = value
        else:
            new = value
        changed = changed or new is not value
        values[name] = new
    result = type(node).model_construct(node.model_fields_set, **values) if changed else node
    for rule in node.RULES:
        if problem := rule(result, scope):
            raise scope.error(*problem)
    return result
