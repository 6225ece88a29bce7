"""Reading a Hugging Face config.json: every field is read, known to be inert, or refused by name."""

from collections.abc import Container, Mapping, Sequence
from typing import Any

from archspec.errors import InputError
from archspec.spec.node import LARGEST_SIZE

MOST_LAYERS = 10_000


class Config:
    """A configuration that remembers which fields were asked for, so that `finish` can refuse the others.

    A field that is absent or null has its default: transformers writes null for "not set". A size has to be said where
    the family's own configuration class has a number for it: null is no number there.
    """

    def __init__(self, fields: Mapping[str, Any], source: str = "") -> None:
        self.fields, self.source = fields, source
        self._read: set[str] = set()

    def fail(self, name: str, message: str) -> InputError:
        return InputError(message, source=self.source, path=f"/{self.place(name)}")

    def get(self, name: str, default: Any = None) -> Any:
        self._read.add(name)
        value = self.fields.get(name)
        return default if value is None else value

    def is_null(self, name: str) -> bool:
        """Present and null, for the fields where that differs from absent."""
        return name in self.fields and self.fields[name] is None

    def integer(
        self, name: str, default: int | None = None, *, least: int = 1, most: int = LARGEST_SIZE, null: bool = False
    ) -> int:
        """A whole number within bounds; without a default the field must be there. null: it may be null, which means
        the default: one that follows from other fields, or that nothing reads."""
        value = self.get(name, default)
        if self.is_null(name) and not null:
            value = None
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            found = "null" if self.is_null(name) else _short(value)
            raise self.fail(name, f"found {found}, expected a whole number from {least} to {most}")
        return value

    def layers(self, name: str, default: int | None = None, *, null: bool = False) -> int:
        """How many layers: bounded, since the tensors of each are listed."""
        return self.integer(name, default, most=MOST_LAYERS, null=null)

    def number(self, name: str, default: float | None = None) -> float:
        value = self.get(name, default)
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise self.fail(name, f"found {value!r}, expected a number")
        return value

    def flag(self, name: str, default: bool) -> bool:
        value = self.get(name, default)
        if not isinstance(value, bool):
            raise self.fail(name, f"found {value!r}, expected true or false")
        return value

    def word(self, name: str, default: str, allowed: Mapping[str, str]) -> str:
        """Our word for theirs."""
        value = self.get(name, default)
        if not isinstance(value, str) or value not in allowed:
            raise self.fail(name, f"found {value!r}, understood are {', '.join(sorted(allowed))}")
        return allowed[value]

    def group(self, name: str) -> "Config | None":
        """An object inside, read with the same care; None if it is not there."""
        value = self.get(name)
        if value is not None and not isinstance(value, dict):
            raise self.fail(name, f"found {value!r}, expected an object")
        return None if value is None else _Group(value, self.source, self.place(name))

    def place(self, name: str) -> str:
        """Where a field stands in the file."""
        return name

    def fixed(self, name: str, *allowed: Any) -> None:
        """A field that this importer understands with these values only."""
        value = self.get(name, allowed[0])
        if value not in allowed:
            expected = " or ".join(map(repr, allowed))
            raise self.fail(
                name, f"{name} = {value!r} changes the computation and is not understood here (only {expected} is)"
            )

    def finish(self, inert: Sequence[str] = (), only: Container[str] | None = None) -> None:
        """Refuses what was neither read nor known to be inert; with `only`, of these fields alone."""
        for name, value in self.fields.items():
            if only is not None and name not in only:
                continue
            if value is not None and name not in self._read and name not in inert:
                raise self.fail(
                    name,
                    f"the field {name!r} (= {_short(value)}) is not understood, and it might change the computation",
                )


class _Group(Config):
    def __init__(self, fields: Mapping[str, Any], source: str, at: str) -> None:
        super().__init__(fields, source)
        self.at = at

    def place(self, name: str) -> str:
        return f"{self.at}/{name}"


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
