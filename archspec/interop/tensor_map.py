"""Which stored tensors make each of our parameters, and which stored tensors nothing reads."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase

from archspec.interop.recipe import Recipe, Stored, sources, substitute


@dataclass(frozen=True)
class TensorMap:
    """Our parameter path -> recipe over stored names, written with the names of the complete model with its head.

    Checkpoints spell names differently; `matched` finds out how.
    """

    recipes: Mapping[str, Recipe]
    prefix: str = ""  # what names begin with when the model was saved with a head: "model.", "bert."
    unread: tuple[str, ...] = ()  # patterns of stored tensors that the forward never reads
    copies: Mapping[str, str] = field(default_factory=dict)  # stored again under a second name: second -> first
    old_endings: Mapping[str, str] = field(
        default_factory=dict
    )  # spellings of older checkpoints: ".gamma" -> ".weight"

    def matched(self, names: Iterable[str]) -> "TensorMap":
        """The same map with the names that a checkpoint really uses, given all its names."""
        names = list(names)
        bare = bool(self.prefix) and not any(name.startswith(self.prefix) for name in names)
        wanted = {source for recipe in self.recipes.values() for source in sources(recipe)} | set(self.copies)
        actual: dict[str, str] = {}  # complete name -> name in this checkpoint
        for name in names:
            complete = name
            for old, new in self.old_endings.items():
                if complete.endswith(old):
                    complete = complete.removesuffix(old) + new
            # A head's own tensors have no prefix in either form; everything else gets it back.
            if bare and complete not in wanted:
                complete = self.prefix + complete
            actual[complete] = name
        for second, first in self.copies.items():
            if first not in actual and second in actual:
                actual[first] = actual.pop(second)
        return replace(
            self,
            recipes={
                path: substitute(r, lambda name: Stored(actual.get(name, name))) for path, r in self.recipes.items()
            },
            copies={
                actual[second]: actual[first] for second, first in self.copies.items() if {second, first} <= set(actual)
            },
            unread=tuple(actual[name] for name in actual if self._is_unread(name)),
        )

    def _is_unread(self, name: str) -> bool:
        return any(fnmatchcase(name, pattern) for pattern in self.unread)


def per_layer(n_layers: int, templates: Mapping[str, Recipe]) -> dict[str, Recipe]:
    """Templates with `{}` for the layer number, in paths and in stored names, written out for every layer."""
    return {
        path.replace("{}", str(layer)): substitute(recipe, lambda name, n=str(layer): Stored(name.replace("{}", n)))  # type: ignore[misc]
        for layer in range(n_layers)
        for path, recipe in templates.items()
    }
