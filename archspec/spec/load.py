"""JSON becomes a typed tree, or one error that names file, place, what was found and what is allowed."""

import json
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from archspec.errors import InputError
from archspec.spec.error import Path as Place
from archspec.spec.error import SpecError, did_you_mean
from archspec.spec.holes import hole_places
from archspec.spec.node import Node
from archspec.spec.tree import Spec
from archspec.spec.walk import class_at

N = TypeVar("N", bound=Node)
MAX_DEPTH = 100  # of nesting; no real spec has more than 25
FREE = ("training", "origin")  # fields that may hold any JSON
MAX_BYTES = 64 * 2**20  # a spec is text that people read; a larger file is something else


def load_spec(source: Path | str | dict[str, Any], name_for_errors: str = "") -> Spec:
    """A spec from a file or from JSON already parsed. Checks JSON and types only; `resolve` checks the rest."""
    if isinstance(source, dict):
        document, file = source, name_for_errors
    else:
        document, file = read_json(Path(source)), name_for_errors or str(source)
    check_depth(document, file)
    try:
        spec = validated(Spec, document, (), file)
    except SpecError:
        typed = {name: value for name, value in document.items() if name not in FREE and not name.startswith("$")}
        if (place := next(hole_places(typed), None)) is not None:
            message = "a hole makes this a search space, not a spec; archspec search chooses what to fill it with"
            raise SpecError(message, file, place) from None
        raise
    spec._document = document
    spec._file = file
    return spec


def read_json(path: Path) -> dict[str, Any]:
    """The JSON object in a file; raises InputError."""
    try:
        if path.stat().st_size > MAX_BYTES:
            raise InputError(f"{path.stat().st_size} bytes: not a spec", source=str(path))
        return parse_json(path.read_text(encoding="utf-8"), str(path))
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", source=str(path)) from None
    except UnicodeDecodeError:
        raise InputError("is not UTF-8 text, so not JSON", source=str(path)) from None


def parse_json(text: str, file: str = "") -> dict[str, Any]:
    """A JSON object; a key that stands twice and NaN are refused."""
    try:
        document = json.loads(text, object_pairs_hook=_unique, parse_constant=_no_constant)
    except json.JSONDecodeError as error:
        raise InputError(
            f"is not JSON: {error.msg} in line {error.lineno}, column {error.colno}", source=file
        ) from None
    except RecursionError:
        raise InputError("is not a spec: nested too deeply", source=file) from None
    except ValueError as error:
        raise InputError(str(error), source=file) from None
    if not isinstance(document, dict):
        raise InputError(f"found {_shown(document)}, expected a JSON object", source=file)
    check_depth(document, file)
    return document


def check_depth(document: Any, file: str) -> None:
    """SpecError where nesting is too deep for what walks the document by recursion."""
    level = [document]
    for _ in range(MAX_DEPTH):
        level = [
            item
            for value in level
            if isinstance(value, dict | list)
            for item in (value.values() if isinstance(value, dict) else value)
        ]
        if not level:
            return
    raise SpecError(f"nested deeper than {MAX_DEPTH} levels", file, ())


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        keys = [key for key, _ in pairs]
        raise ValueError(f"the key {next(k for k in keys if keys.count(k) > 1)!r} stands twice in one object")
    return found


def _no_constant(name: str) -> None:
    raise ValueError(f"is not JSON: {name} is not a number in JSON")


def validated(cls: type[N], document: Any, base: Place, file: str) -> N:
    """`document` as `cls`; raises InputError with a place below `base`."""
    try:
        return cls.model_validate(document)
    except ValidationError as error:
        details = error.errors(include_url=False)
        first = details[0]
        loc = _in_document(first["loc"], document)
        more = f" (and {len(details) - 1} more)" if len(details) > 1 else ""
        raise SpecError(_message(cls, document, loc, first) + more, file, (*base, *loc)) from None


def _in_document(loc: Place, document: Any) -> Place:
    """A place in the tree as a place in the JSON: without the parts that short forms leave out."""
    kept: list[str | int] = []
    for part in loc:
        if isinstance(document, dict) and part == 0 and 0 not in document:
            continue  # one object where a list may stand
        if isinstance(document, list) and part == "steps":
            continue
        if (isinstance(part, str) and part.startswith("[")) or isinstance(document, str):
            continue
        kept.append(part)
        try:
            document = document[part]
        except (KeyError, IndexError, TypeError):
            document = None
    return tuple(kept)


def _message(cls: type[Node], document: Any, loc: Place, error: Any) -> str:
    kind, found = error["type"], _shown(error["input"])
    if loc == ("archspec",) and kind == "literal_error":
        return f"found {found}; this release knows version 1 of the language"
    if kind == "extra_forbidden":
        owner = class_at(cls, document, loc[:-1])
        fields = list(owner.model_fields) if owner else []
        return f"unknown field {loc[-1]!r}{did_you_mean(loc[-1], fields)}; allowed: {', '.join(fields)}"
    if kind == "missing":
        return f"the field {error['loc'][-1]!r} is missing"
    if kind == "literal_error":
        expected = error["ctx"]["expected"]
        options = [option.strip("' ") for option in expected.replace(" or ", ", ").split(",")]
        return f"found {found}{did_you_mean(error['input'], options)}; allowed: {', '.join(options)}"
    if kind == "unknown_type":
        return error["msg"]
    if kind == "string_pattern_mismatch":
        dash = " and -" if "-]" in error["ctx"]["pattern"] else ""
        return f"found {found}; allowed: a name of letters, digits, _{dash} that starts with a letter"
    if kind in ("number", "choice"):
        return f"found {found}; allowed: {error['msg']}"
    return f"found {found}; {error['msg'][0].lower()}{error['msg'][1:]}"


def _shown(value: Any) -> str:
    text = json.dumps(value, default=str, ensure_ascii=False)
    return text if len(text) <= 60 else text[:57] + "..."
