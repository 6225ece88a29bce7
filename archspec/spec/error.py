"""SpecError: a spec that cannot be, with the place in the document, what was found and what is allowed."""

from collections.abc import Iterable
from difflib import get_close_matches

from archspec.errors import InputError
from archspec.spec import pointer

Path = tuple[str | int, ...]


class SpecError(InputError):
    """Bad input inside a spec; `parts` is the place as a tuple."""

    def __init__(self, message: str, file: str, parts: Path) -> None:
        self.parts = parts
        super().__init__(message, source=file, path=pointer.shown(parts))


def did_you_mean(name: object, known: Iterable[str]) -> str:
    """ ", did you mean 'x'?" or nothing."""
    near = get_close_matches(name, list(known), 1) if isinstance(name, str) else []
    return f", did you mean {near[0]!r}?" if near else ""


def unknown(what: str, name: str, known: Iterable[str], file: str, parts: Path) -> SpecError:
    """An unknown name, with the nearest one and all that are known."""
    known = list(known)
    there_are = ", ".join(known) or "none"
    return SpecError(f"unknown {what} {name!r}{did_you_mean(name, known)}; there are: {there_are}", file, parts)
