"""What every object of the language is made of: Node, the number fields that take formulas, and the unions.

Two choices keep a start fast. A union is a lookup of the class by its `type` (or by its one required key) and builds
that class's validator on first use, so a plain decoder builds a dozen of the hundred types. And a number field is a
plain `int` or `float` to the type checker, but takes a formula before `resolve`.
"""

import keyword
from collections.abc import Callable
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Annotated, Any, ClassVar, get_args

from pydantic import AfterValidator, BaseModel, ConfigDict, GetCoreSchemaHandler, Strict, StringConstraints
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from archspec.spec.rule import Rule

LARGEST_NUMBER = 1e40


class Node(BaseModel):
    """A frozen object of the tree. Unknown fields are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True, protected_namespaces=())

    KEY: ClassVar[str] = "type"  # the field that tells this class apart in its union
    RULES: ClassVar[tuple[Rule, ...]] = ()  # what its numbers must satisfy together, checked once they are concrete


@dataclass(frozen=True)
class Number:
    """Marks a number field: whole or not, its bounds (checked once formulas have values), one value for each head."""

    whole: bool = False
    least: float | None = None
    above: float | None = None
    most: float | None = None
    per_head: bool = False

    def allowed(self) -> str:
        """The allowed values, in words."""
        words = "a whole number" if self.whole else "a number"
        if self.least is not None:
            words += f" of at least {self.least:g}"
        if self.above is not None:
            words += f" above {self.above:g}"
        if self.most is not None:
            words += f" and at most {self.most:,}"
        return words

    def accept(self, value: Any) -> Any:
        """A literal number or a formula, bounds unchecked."""
        if type(value) in (int, float) and abs(value) <= LARGEST_NUMBER:  # not infinite, not nan
            if type(value) is int or not self.whole:
                return value
            if value.is_integer():
                return int(value)
        elif isinstance(value, str) and value.startswith("="):
            return value
        elif self.per_head and isinstance(value, list | tuple) and all(type(v) in (int, float) for v in value):
            return tuple(value)
        raise PydanticCustomError("number", "{allowed}, or a formula such as '=4*d_model'", {"allowed": self.allowed()})

    def problem(self, value: float) -> str | None:
        """None, or why this value is not allowed."""
        if (
            (self.least is not None and value < self.least)
            or (self.above is not None and value <= self.above)
            or (self.most is not None and value > self.most)
        ):
            return f"found {value:g}, allowed is {self.allowed()}"
        return None

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(self.accept)


def _no_keyword(name: str) -> str:
    if keyword.iskeyword(name):
        raise PydanticCustomError("keyword", "a word of Python cannot name this")
    return name


LARGEST_SIZE = 10**9  # no axis of a real model is wider; a typing error of three zeros is caught here

Size = Annotated[int, Number(whole=True, least=1, most=LARGEST_SIZE)]
Count = Annotated[int, Number(whole=True, least=0, most=LARGEST_SIZE)]
Whole = Annotated[int, Number(whole=True)]
Real = Annotated[float, Number()]
NonNegative = Annotated[float, Number(least=0)]
Positive = Annotated[float, Number(above=0)]
PerHead = Annotated[float | tuple[float, ...], Number(per_head=True)]
Flag = Annotated[bool, Strict()]
Name = Annotated[str, Strict(), StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_-]{0,99}$")]
WeightName = Annotated[str, Strict(), StringConstraints(pattern=r"^/?[A-Za-z_][A-Za-z0-9_-]{0,99}$")]
# Names of tensors given at run time and of stacks become keyword arguments and symbols of emitted code.
Identifier = Annotated[
    str, Strict(), StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,99}$"), AfterValidator(_no_keyword)
]


def formula(text: str) -> Any:
    """A default that is itself a formula over the enclosing fields; `resolve` puts its value in place."""
    return text


class Owner(Node):
    """Something with parameters of its own. Equal `weights` names share one set: "/name" over the whole spec, "name"
    within a layer."""

    SHAPE: ClassVar[tuple[str, ...]] = ()  # the fields that decide the shapes of its parameters

    weights: WeightName | None = None


@dataclass(frozen=True)
class Choice:
    """Marks a union of Nodes told apart by `type`, or by which class's required key is present (`by="key"`).

    A bare string is short for `{"type": string}`.
    """

    what: str  # its name in errors and in the JSON Schema
    by: str = "type"
    bare: str | None = None  # by="key" only: the field that a bare string fills; "" keeps the string itself

    def options(self, source: Any) -> dict[str, type[Node]]:
        """Type name or key -> class."""
        return dict(_options(source, self.by))

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(self._validator(self.options(source)))

    def _validator(self, options: dict[str, type[Node]]) -> Callable[[Any], Any]:
        classes = tuple(options.values())

        def by_type(value: Any) -> Any:
            if isinstance(value, str):
                value = {"type": value}
            elif isinstance(value, classes):
                return value
            elif not isinstance(value, dict):
                raise _mismatch(f"{self.what}, an object with `type`", options)
            if "type" not in value:
                raise _mismatch(f"{self.what}, an object with `type`", options)
            name = value["type"]
            if not isinstance(name, str) or name not in options:
                raise _unknown(self.what, name, options)
            return options[name].model_validate(value)

        def by_key(value: Any) -> Any:
            if isinstance(value, str) and self.bare is not None:
                if not self.bare:
                    return value
                value = {self.bare: value}
            elif isinstance(value, classes):
                return value
            elif not isinstance(value, dict):
                raise _mismatch(f"{self.what}, an object with one of the keys", options)
            present = [key for key in options if key in value]
            if len(present) != 1:
                raise _mismatch(f"{self.what}, an object with one of the keys", options)
            return options[present[0]].model_validate(value)

        return by_key if self.by == "key" else by_type


@dataclass(frozen=True)
class OneOrMany:
    """Marks a tuple field for which JSON may give one object without the list."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_before_validator_function(
            lambda value: [value] if isinstance(value, dict | Node) else value, handler(source)
        )


def _options(source: Any, by: str) -> list[tuple[str, type[Node]]]:
    found = []
    for option in get_args(source) or (source,):
        if isinstance(option, type) and issubclass(option, Node):
            key = get_args(option.model_fields["type"].annotation)[0] if by == "type" else option.KEY
            found.append((key, option))
        elif get_args(option):  # a union inside a union
            found += _options(get_args(option)[0] if hasattr(option, "__metadata__") else option, by)
    return found


def _mismatch(wanted: str, options: dict[str, type[Node]]) -> PydanticCustomError:
    return PydanticCustomError("choice", "{wanted}: {names}", {"wanted": wanted, "names": ", ".join(options)})


def _unknown(what: str, name: Any, options: dict[str, type[Node]]) -> PydanticCustomError:
    near = get_close_matches(name, list(options), 1) if isinstance(name, str) else []
    return PydanticCustomError(
        "unknown_type",
        "unknown {what} {name}{hint}; allowed: {names}",
        {
            "what": what,
            "name": repr(name),
            "hint": f", did you mean {near[0]!r}?" if near else "",
            "names": ", ".join(options),
        },
    )
