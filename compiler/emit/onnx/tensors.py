"""Tensors by path that are read and put together when they are asked for, and not kept."""

from collections.abc import Iterator, Mapping

from torch import Tensor

from archspec.interop.recipe import Recipe
from archspec.interop.tensor_map import TensorMap
from compiler.ir.program import Program
from compiler.weights.evaluate import evaluate
from compiler.weights.load import plan
from compiler.weights.source import TensorSource


class LazyTensors(Mapping[str, Tensor]):
    """What a (rewritten) program reads, from a folder or GGUF file: a 16 GB model is emitted one tensor at a time."""

    def __init__(self, program: Program, original: Program, tensors: TensorMap | None, source: TensorSource) -> None:
        """original: the program before the passes; `tensors` makes its parameters. InputError where they do not fit."""
        self._packed: dict[str, Recipe] = program.stored_recipes()
        shapes = {path: param.shape for path, param in original.parameter_paths().items()}
        self._stored = plan(shapes, tensors, source)
        self._source = source

    def __getitem__(self, path: str) -> Tensor:
        return evaluate(self._packed[path], lambda name: evaluate(self._stored[name], self._source.read))

    def __iter__(self) -> Iterator[str]:
        return iter(self._packed)

    def __len__(self) -> int:
        return len(self._packed)
