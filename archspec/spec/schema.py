"""JSON Schema of the language, read off the declared types: one for specs (closed, for editors), one for spaces."""

from functools import cache
from types import NoneType
from typing import Annotated, Any, Literal, get_args, get_origin

from archspec.spec import node as node_module
from archspec.spec.formula import is_formula
from archspec.spec.node import Choice, Node, Number, OneOrMany
from archspec.spec.tree import Spec, Steps

DIALECT = "https://json-schema.org/draft/2020-12/schema"
Schema = dict[str, Any]


def spec_schema() -> Schema:
    """The schema of a spec file."""
    return _Writer(holes=False).document("An archspec model specification")


def space_schema() -> Schema:
    """The schema of a search space: a spec in which each value may be a hole."""
    return _Writer(holes=True).document("An archspec search space: a specification with holes")


@cache
def _number_names() -> dict[Number, str]:
    """Number -> the name of its alias in the types."""
    found: dict[Number, str] = {}
    for name, value in vars(node_module).items():
        for meta in getattr(value, "__metadata__", ()):
            if isinstance(meta, Number):
                found.setdefault(meta, name)
    return found


class _Writer:
    def __init__(self, holes: bool) -> None:
        self.holes = holes
        self.definitions: dict[str, Schema] = {}

    def document(self, title: str) -> Schema:
        root = self.reference(Spec)
        if self.holes:
            self.definitions["Hole"] = _hole()
        definitions = {name: self.definitions[name] for name in sorted(self.definitions)}
        return {"$schema": DIALECT, "title": title, **root, "$defs": definitions}

    def reference(self, cls: type[Node]) -> Schema:
        """A reference to the class, its definition written on the first call."""
        if cls.__name__ not in self.definitions:
            self.definitions[cls.__name__] = {}
            cls.model_rebuild()
            self.definitions[cls.__name__] = self.object(cls)
        return {"$ref": f"#/$defs/{cls.__name__}"}

    def object(self, cls: type[Node]) -> Schema:
        properties: dict[str, Schema] = {}
        required = []
        for name, info in cls.model_fields.items():
            if name == "type":
                properties[name] = {"const": get_args(info.annotation)[0]}
                required.append(name)
                continue
            schema = self.hole_or(self.value(info.annotation, tuple(info.metadata)))
            if info.is_required():
                required.append(name)
            elif (default := _shown(info)) is not None:
                schema = {**schema, "default": default}
            properties[name] = schema
        schema = {"type": "object", "properties": properties, "required": required, "additionalProperties": False}
        described = cls.__dict__.get("__doc__")
        return {"description": " ".join(described.split()), **schema} if described else schema

    def hole_or(self, schema: Schema) -> Schema:
        return {"anyOf": [schema, {"$ref": "#/$defs/Hole"}]} if self.holes else schema

    def value(self, annotation: Any, metadata: tuple[Any, ...] = ()) -> Schema:
        for meta in metadata:
            if isinstance(meta, Number):
                return self.number(meta)
            if isinstance(meta, Choice):
                return self.choice(meta, annotation)
            if isinstance(meta, OneOrMany):
                one = self.value(get_args(annotation)[0])
                return {"anyOf": [one, {"type": "array", "items": self.hole_or(one)}]}
        origin, args = get_origin(annotation), get_args(annotation)
        if origin is Annotated:
            return self.value(args[0], tuple(annotation.__metadata__))
        if origin is Literal:
            return {"enum": list(args)}
        if origin is tuple:
            if args[-1] is Ellipsis:
                return {"type": "array", "items": self.hole_or(self.value(args[0]))}
            items = [self.hole_or(self.value(arg)) for arg in args]
            return {"type": "array", "prefixItems": items, "minItems": len(items), "maxItems": len(items)}
        if origin is dict:
            return {"type": "object", "additionalProperties": self.hole_or(self.value(args[1]))}
        if args:  # a union
            return {"anyOf": [self.value(arg) for arg in args]}
        if isinstance(annotation, type) and issubclass(annotation, Node):
            return self.steps() if annotation is Steps else self.reference(annotation)
        simple = {str: "string", bool: "boolean", int: "integer", float: "number", NoneType: "null"}
        return {"type": simple[annotation]} if annotation in simple else {}

    def steps(self) -> Schema:
        return self.value(Steps.model_fields["steps"].annotation)

    def number(self, number: Number) -> Schema:
        name = _number_names().get(number)
        if name and name in self.definitions:
            return {"$ref": f"#/$defs/{name}"}
        plain: Schema = {"type": "integer" if number.whole else "number"}
        for word, bound in (
            ("minimum", number.least), ("exclusiveMinimum", number.above), ("maximum", number.most),
        ):  # fmt: skip
            if bound is not None:
                plain[word] = bound
        options = [plain, {"type": "string", "pattern": "^="}]
        if number.per_head:
            options.append({"type": "array", "items": {"type": "number"}})
        schema = {"description": f"{number.allowed()}, or a formula", "anyOf": options}
        if not name:
            return schema
        self.definitions[name] = schema
        return {"$ref": f"#/$defs/{name}"}

    def choice(self, choice: Choice, annotation: Any) -> Schema:
        """A union: its bare strings, then its objects; under the name of the choice, which says what it is."""
        name = "".join(word.capitalize() for word in choice.what.split()) + "Choice"
        if name not in self.definitions:
            self.definitions[name] = {}
            options = choice.options(annotation)
            objects = [self.steps() if c is Steps else self.reference(c) for c in options.values()]
            bare = [kind for kind, cls in options.items() if choice.by == "type" and _needs_only_type(cls)]
            strings: list[Schema] = [{"enum": bare}] if bare else []
            if choice.by == "key" and choice.bare is not None:
                strings = [{"type": "string"}]
            self.definitions[name] = {"anyOf": [*strings, *objects]}
        return {"$ref": f"#/$defs/{name}"}


def _needs_only_type(cls: type[Node]) -> bool:
    return all(name == "type" or not info.is_required() for name, info in cls.model_fields.items())


def _shown(info: Any) -> Any:
    """The default as it would be written, or None where it is not worth saying."""
    default = info.default
    if isinstance(default, Node):
        return getattr(default, "type", None)
    if isinstance(default, str) and not default and not is_formula(default):
        return None
    if isinstance(default, tuple):
        return list(default)
    return default if isinstance(default, bool | int | float | str) else None


def _hole() -> Schema:
    name: Schema = {"type": "string", "minLength": 1}

    def form(key: str, value: Schema, needed: tuple[str, ...] = (), **more: Schema) -> Schema:
        also = {"as": name} if key in ("$choice", "$int", "$float", "$layout") else {}
        return {
            "type": "object", "properties": {key: value, **more, **also}, "required": [key, *needed],
            "additionalProperties": False,
        }  # fmt: skip

    pair: Schema = {"type": "array", "items": {"type": "number"}, "minItems": 2, "maxItems": 3}
    layout = form(
        "of",
        {"type": "array", "items": {"type": "string"}, "minItems": 1},
        ("layers", "form"),
        layers={"anyOf": [{"type": "integer", "minimum": 1}, {"$ref": "#/$defs/Hole"}]},
        form={"enum": ["uniform", "period", "ends", "free"]},
    )
    condition: Schema = {
        "type": "object", "properties": {"hole": name, "in": {"type": "array", "minItems": 1}},
        "required": ["hole", "in"], "additionalProperties": False,
    }  # fmt: skip
    return {
        "description": "a value left open: an object with one key that begins with $",
        "oneOf": [
            form("$choice", {"type": "array", "minItems": 1}),
            form("$int", pair),
            form("$float", pair, log={"type": "boolean"}),
            form("$ref", name),
            form("$if", condition, ("then", "else"), **{"then": {}, "else": {}}),
            form("$layout", layout),
        ],
    }
