"""A spec of the zoo made small: the same structure and the same choices, other sizes."""

import copy
from typing import Any

from archspec import zoo
from archspec.spec import Resolved, load_spec, resolve

DROP = object()


def shrunk(name: str, layers: dict[str, list[Any]], sizes: dict[str, Any]) -> Resolved:
    """`name` with new `layers` by stack. sizes: field -> new value, or old value -> new value, or DROP."""
    document = resized(copy.deepcopy(zoo.read(name)), sizes)
    for stack, entries in layers.items():
        document["stacks"][stack]["layers"] = entries
    return resolve(load_spec(document))


def resized(value: Any, sizes: dict[str, Any]) -> Any:
    if isinstance(value, list):
        return [resized(item, sizes) for item in value]
    if not isinstance(value, dict):
        return value
    out = {}
    for key, item in value.items():
        new = sizes.get(key, item)
        if isinstance(new, dict) and not isinstance(item, dict):
            new = new.get(item, item)
        if new is not DROP:
            out[key] = resized(new, sizes)
    return out
