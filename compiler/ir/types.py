"""Dimensions and tensor types."""

from collections.abc import Mapping
from dataclasses import dataclass

from archspec.spec.formula import evaluate

Dim = int | str  # a string is a formula over symbols: "B", "S", "T", "S/2"


def size(dim: Dim, env: Mapping[str, int]) -> int:
    """A dimension as a number, its symbols taken from `env`."""
    if isinstance(dim, int):
        return dim
    if dim in env:
        return env[dim]
    return int(evaluate(dim, env))


@dataclass(frozen=True, slots=True)
class TensorType:
    """dtype: "float" (the program's activation type), "int", "bool", or an exact one such as "fp32"."""

    dtype: str
    shape: tuple[Dim, ...]

    def __str__(self) -> str:
        return f"{self.dtype}[{', '.join(map(str, self.shape))}]"

    def elements(self, env: Mapping[str, int]) -> int:
        n = 1
        for dim in self.shape:
            n *= size(dim, env)
        return n
