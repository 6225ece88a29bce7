"""The canonical layout of a spec: keys in the order of the grammar, the author's short forms kept, lines filled.

Brackets hug their content and each level is one column deeper, so that a plain decoder stays within fifteen lines.
"""

import json
from typing import Any, get_args, get_origin

from archspec.spec.node import Node, OneOrMany
from archspec.spec.tree import Spec
from archspec.spec.walk import alternatives, pick

WIDTH = 120


def dump(spec: Spec | dict[str, Any]) -> str:
    """The text of a spec file, with a newline at its end. Loading it gives the same document."""
    document = spec._document or spec.model_dump(mode="json", exclude_unset=True) if isinstance(spec, Spec) else spec
    return _render(ordered(document), 0, 0, 0) + "\n"


def ordered(document: Any) -> Any:
    """The document with its keys in the order of the grammar; what it does not know stays where it is."""
    return _ordered(document, Spec, ())


def _ordered(document: Any, annotation: Any, metadata: tuple[Any, ...]) -> Any:
    if isinstance(document, dict):
        if any(isinstance(m, OneOrMany) for m in metadata):
            return _ordered(document, get_args(annotation)[0], ())
        choice, classes = alternatives(annotation, metadata)
        if get_origin(annotation) is dict:
            return {key: _ordered(value, get_args(annotation)[-1], ()) for key, value in document.items()}
        cls = pick(choice, classes, document)
        if cls is None:
            return document
        return {key: _field(cls, key, document[key]) for key in sorted(document, key=_rank(cls, list(document)))}
    if isinstance(document, list):
        choice, classes = alternatives(annotation, metadata)
        if choice and (steps := pick(choice, classes, document)):
            return _field(steps, "steps", document)
        inner = get_args(annotation)
        if get_origin(annotation) is tuple and inner:
            return [_ordered(item, inner[0], ()) for item in document]
    return document


def _field(cls: type[Node], key: str, value: Any) -> Any:
    info = cls.model_fields.get(key)
    return _ordered(value, info.annotation, tuple(info.metadata)) if info else value


def _rank(cls: type[Node], written: list[str]) -> Any:
    grammar = ["type", *cls.model_fields]
    return lambda key: grammar.index(key) if key in grammar else len(grammar) + written.index(key)


def _line(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(k, ensure_ascii=False)}: {_line(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_line, value)) + "]"
    if isinstance(value, float):
        return repr(value).replace("e-0", "e-").replace("e+0", "e").replace("e+", "e")
    return json.dumps(value, ensure_ascii=False)


def _render(value: Any, depth: int, column: int, tail: int) -> str:
    """`value` from `column` on, with `tail` characters to follow it on its last line."""
    line = _line(value)
    if column + len(line) + tail <= WIDTH or not isinstance(value, dict | list) or not value:
        return line
    inner = depth + 1
    items = list(value.items()) if isinstance(value, dict) else [(None, item) for item in value]
    text, at, fresh = ("{" if isinstance(value, dict) else "["), column + 1, True  # fresh: nothing on this line yet
    if isinstance(value, list) and any(isinstance(item, dict | list) for item in value):
        text, at = text + "\n" + " " * inner, inner
    for number, (key, item) in enumerate(items):
        last = number == len(items) - 1
        head = "" if key is None else f"{json.dumps(key, ensure_ascii=False)}: "
        after = tail + 1 if last else 1
        short = head + _line(item)
        if not fresh and at + 1 + len(short) + after > WIDTH:
            text, at, fresh = text.rstrip() + "\n" + " " * inner, inner, True
        elif not fresh:
            text, at = text + " ", at + 1
        part = head + _render(item, inner, at + len(head), after)
        text += part + ("" if last else ",")
        broken = "\n" in part
        at = len(text) - text.rfind("\n") - 1 if "\n" in text else column + len(text)
        fresh = False
        if not last and (broken or (key is None and isinstance(item, dict))):
            text, at, fresh = text + "\n" + " " * inner, inner, True
    return text + ("}" if isinstance(value, dict) else "]")
