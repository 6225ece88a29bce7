"""The zoo: named specs, one JSON file for each model, read as they are. Nothing here checks them; `load_spec` does."""

import json
import re
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from archspec.errors import InputError

FOLDER = Path(__file__).parent
# No separator, no leading dot: a name can never leave the folder.
_NAME = re.compile(r"[a-z0-9]+([.-][a-z0-9]+)*")


def names() -> list[str]:
    """All names, sorted."""
    return sorted(file.name.removesuffix(".json") for file in FOLDER.glob("*.json"))


def path(name: str) -> Path:
    """The file of `name`; raises InputError with the nearest names if there is none."""
    file = FOLDER / f"{name}.json"
    if _NAME.fullmatch(name) and file.is_file():
        return file
    near = nearest(name)
    hint = f"did you mean {' or '.join(map(repr, near))}?" if near else "`archspec zoo` lists them"
    raise InputError(f"the zoo has no spec {name!r}; {hint}")


def read(name: str) -> dict[str, Any]:
    """The JSON of `name`, as written; raises InputError if there is none."""
    document: dict[str, Any] = json.loads(path(name).read_text(encoding="utf-8"))
    return document


def nearest(name: str, most: int = 3) -> list[str]:
    """Names that look like `name`, best first: close spellings, then those that hold every part of it."""
    known = names()
    plain = {_plain(n): n for n in known}
    close = [plain[p] for p in get_close_matches(_plain(name), list(plain), most, 0.7)]
    parts = [part for part in re.split(r"[^a-z0-9.]+", name.lower()) if part]
    holding = [n for n in known if parts and all(part in n for part in parts)]
    return list(dict.fromkeys([*close, *holding]))[:most]


def _plain(name: str) -> str:
    """Letters and digits only, so that Llama3_8B is near llama-3-8b."""
    return re.sub(r"[^a-z0-9]", "", name.lower())
