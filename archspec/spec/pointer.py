"""JSON pointers (RFC 6901): how errors, `set` and differences name a place in a document."""

from collections.abc import Iterable
from difflib import get_close_matches
from typing import Any


def shown(path: Iterable[str | int]) -> str:
    """("stacks", "x", "set", "/0/op") -> '/stacks/x/set["/0/op"]': as people read it."""
    return "".join(f'["{part}"]' if "/" in str(part) else f"/{part}" for part in path) or "/"


def split(pointer: str) -> list[str]:
    """ "/0/op" -> ["0", "op"]; raises ValueError."""
    if not pointer.startswith("/"):
        raise ValueError(f"{pointer!r} is not a JSON pointer: it starts with '/', as in '/0/op/mask'")
    return [part.replace("~1", "/").replace("~0", "~") for part in pointer[1:].split("/")]


def replaced(document: Any, parts: list[str], value: Any) -> Any:
    """A copy of `document` with the whole value at `parts` replaced; only containers on the way are copied.

    The last part may name a field that is absent; all before it must exist. Raises ValueError.
    """
    if not parts:
        return value
    part, rest = parts[0], parts[1:]
    if isinstance(document, list):
        if not part.isdigit() or int(part) >= len(document):
            raise ValueError(f"no item {part!r} in a list of {len(document)}")
        copy = list(document)
        copy[int(part)] = replaced(document[int(part)], rest, value)
        return copy
    if isinstance(document, dict):
        if part not in document and rest:
            near = get_close_matches(part, list(document), 1)
            hint = f", did you mean {near[0]!r}?" if near else ""
            raise ValueError(f"no field {part!r} here{hint}; there are: {', '.join(map(str, document)) or 'none'}")
        return {**document, part: replaced(document.get(part), rest, value)}
    raise ValueError(f"nothing below {document!r} to put {part!r} in")
