"""Reading the declared types themselves: which class stands where, which fields are numbers."""

from functools import cache
from typing import Any, get_args, get_origin

from archspec.spec.node import Choice, Node, Number


@cache
def number_fields(cls: type[Node]) -> dict[str, Number]:
    """Field -> its Number, for fields that hold one number (or one for each head, or a tuple of numbers)."""
    found = {}
    for name, info in cls.model_fields.items():
        number = next((m for m in info.metadata if isinstance(m, Number)), None) or _number_in(info.annotation)
        if number:
            found[name] = number
    return found


def _number_in(annotation: Any) -> Number | None:
    for meta in getattr(annotation, "__metadata__", ()):
        if isinstance(meta, Number):
            return meta
    for arg in get_args(annotation):
        if number := _number_in(arg):
            return number
    return None


def alternatives(annotation: Any, metadata: tuple[Any, ...] = ()) -> tuple[Choice | None, list[type[Node]]]:
    """The classes that a value of this type may have, and how they are told apart."""
    choice = next((m for m in metadata if isinstance(m, Choice)), None)
    if choice:
        return choice, list(choice.options(annotation).values())
    if inner := getattr(annotation, "__metadata__", None):
        return alternatives(get_args(annotation)[0], inner)
    if isinstance(annotation, type) and issubclass(annotation, Node):
        return None, [annotation]
    for arg in get_args(annotation):
        choice, classes = alternatives(arg)
        if classes:
            return choice, classes
    return None, []


def class_at(root: type[Node], document: Any, loc: tuple[str | int, ...]) -> type[Node] | None:
    """The class that the value at `loc` of a JSON document should have, seen from `root`; None if it cannot be told."""
    cls: type[Node] | None = root
    annotation: Any = root
    metadata: tuple[Any, ...] = ()
    for part in (*loc, None):
        choice, classes = alternatives(annotation, metadata)
        container = get_origin(annotation) in (tuple, dict)
        if not container:
            cls = pick(choice, classes, document)
        if part is None:
            return None if container else cls
        if isinstance(part, int) and (container or (cls and "steps" in cls.model_fields)):
            if not container:
                assert cls
                annotation = cls.model_fields["steps"].annotation
            annotation, metadata = get_args(annotation)[0], ()
        elif container:
            annotation, metadata = get_args(annotation)[-1], ()
        elif cls and part in cls.model_fields:
            info = cls.model_fields[str(part)]
            annotation, metadata = info.annotation, tuple(info.metadata)
        else:
            return None
        document = document[part] if _has(document, part) else None
        if get_origin(annotation) is tuple and isinstance(document, dict):  # one object where a list may stand
            annotation, metadata = get_args(annotation)[0], ()
    return cls


def pick(choice: Choice | None, classes: list[type[Node]], document: Any) -> type[Node] | None:
    if choice is None:
        return classes[0] if classes else None
    if isinstance(document, list):
        return next((c for c in classes if "steps" in c.model_fields), None)
    if not isinstance(document, dict):
        return None
    if choice.by == "key":
        return next((c for c in classes if c.KEY in document), None)
    return next((c for c in classes if get_args(c.model_fields["type"].annotation)[0] == document.get("type")), None)


def _has(document: Any, part: str | int) -> bool:
    return (isinstance(document, dict) and part in document) or (
        isinstance(document, list) and isinstance(part, int) and part < len(document)
    )
