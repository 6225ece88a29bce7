"""The tensors of a package: read or drawn one at a time, packed as the passes say, cast; and the probe."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

from archspec.interop.invert import invert
from archspec.interop.recipe import Recipe, Stored, compose, sources
from archspec.interop.tensor_map import TensorMap
from compiler import pipeline
from compiler.ir.graph import Node
from compiler.ir.program import Program, calls, repeat_attrs
from compiler.masks.facts import PREFIX
from compiler.verify.compare import compare
from compiler.verify.interpreter import interpret
from compiler.weights.evaluate import evaluate
from compiler.weights.init import init_weights
from compiler.weights.load import plan
from compiler.weights.save import save
from compiler.weights.source import TensorSource, open_weights

TORCH_TYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
PROBE_BATCH, PROBE_TOKENS, PROBE_SEED = 2, 12, 0
HELD_LIMIT = 3 * 10**8  # parameters; up to this all are held at once for the probe
FLOAT64_LIMIT = 2 * 10**9  # parameters; above this the probe is made in float32


class Drawn:
    """Random tensors under the paths of the unrewritten program."""

    def __init__(self, program: Program, seed: int) -> None:
        self.path = Path(f"--init {seed}")
        self.seed = seed
        self._shapes = {path: param.shape for path, param in program.parameter_paths().items()}

    def shapes(self) -> Mapping[str, tuple[int, ...]]:
        return self._shapes

    def read(self, name: str) -> Tensor:
        return init_weights({name: self._shapes[name]}, self.seed)[name]


class Recipes(Mapping[str, Tensor]):
    """Path -> tensor, made when it is asked for."""

    def __init__(self, recipes: Mapping[str, Recipe], source: TensorSource, *dtypes: torch.dtype) -> None:
        self.recipes, self.source, self.dtypes = recipes, source, dtypes

    def __getitem__(self, path: str) -> Tensor:
        tensor = evaluate(self.recipes[path], self.source.read)
        for dtype in self.dtypes:
            tensor = tensor.to(dtype)
        return tensor.contiguous()

    def __iter__(self) -> Iterator[str]:
        return iter(self.recipes)

    def __len__(self) -> int:
        return len(self.recipes)


class Tensors(Recipes):
    """The tensors that the rewritten program reads, in the package's type."""

    def __init__(
        self, plain: Program, program: Program, recipes: Mapping[str, Recipe], source: TensorSource, dtype: str
    ) -> None:
        """recipes: paths of the unrewritten program over names in `source`."""
        self.plain, self.program, self.dtype = plain, program, dtype
        self.original = recipes
        packed = TensorMap(compose(program.stored_recipes(), recipes))
        params = {path: param.shape for path, param in program.parameter_paths().items()}
        super().__init__(plan(params, packed, _Chosen(source, recipes)), source, TORCH_TYPES[dtype])

    def about(self) -> dict[str, Any]:
        return {"source": self.source.path.name, "tensors": len(self), "dtype": self.dtype}

    def write(self, folder: Path) -> list[Path]:
        """weights.safetensors, or shards and their index."""
        return save(((path, self[path]) for path in self), folder)

    def probe(self, file: Path) -> None:
        """Inputs with padding and the outputs of the unrewritten program on them, in float64 where memory allows."""
        parameters = sum(_size(param.shape) for param in self.plain.parameter_paths().values())
        wide = torch.float64 if parameters <= FLOAT64_LIMIT else torch.float32
        inputs = probe_inputs(self.plain)
        params: Mapping[str, Tensor] = Recipes(self.original, self.source, TORCH_TYPES[self.dtype], wide)
        if parameters <= HELD_LIMIT:
            params = dict(params)
        (output,) = interpret(self.plain, params, inputs).values()
        save_file({**inputs, "output": output.contiguous()}, file, {"format": "pt", "reference": str(wide)})

    def pass_errors(self, names: tuple[str, ...] | None) -> dict[str, float | None]:
        """What each pass changes in the output, relative: one layer of each kind, float64, the real weights.

        None where one layer of each kind is too large to compute twice.
        """
        short = one_layer_each(self.plain)
        passes = pipeline.select(names)
        if sum(_size(param.shape) for param in short.parameter_paths().values()) > FLOAT64_LIMIT:
            return {p.name: None for p in passes}
        params = dict(
            Recipes({path: self.original[path] for path in short.parameter_paths()}, self.source, torch.float64)
        )
        found = compare(short, params, probe_inputs(short), passes)
        return {error.name: error.since_start.relative for error in found.passes}


class _Chosen:
    """A source that shows only the tensors which some parameter is made of: the rest was checked before."""

    def __init__(self, source: TensorSource, recipes: Mapping[str, Recipe]) -> None:
        self.path, self._source = source.path, source
        self._names = {name for recipe in recipes.values() for name in sources(recipe)}

    def shapes(self) -> Mapping[str, tuple[int, ...]]:
        return {name: shape for name, shape in self._source.shapes().items() if name in self._names}

    def read(self, name: str) -> Tensor:
        return self._source.read(name)


def drawn(plain: Program, program: Program, seed: int, dtype: str) -> Tensors:
    """Random tensors, the same for a seed whatever the passes."""
    source = Drawn(plain, seed)
    return Tensors(plain, program, {path: Stored(path) for path in source.shapes()}, source, dtype)


def stored(plain: Program, program: Program, path: Path, tensors: TensorMap | None, dtype: str) -> Tensors:
    """Tensors of a checkpoint (`tensors` says how they make our parameters) or of a package (None).

    InputError names what is missing, left over or of the wrong shape.
    """
    source = open_weights(path)
    params = {name: param.shape for name, param in plain.parameter_paths().items()}
    recipes = plan(params, tensors or _of_package(plain, source), source)
    return Tensors(plain, program, recipes, source, dtype)


def _of_package(plain: Program, source: TensorSource) -> TensorMap:
    """A package stores what its passes packed: take that apart where our own paths are not there."""
    shapes, own = source.shapes(), plain.parameter_paths()
    packed = pipeline.run(plain)[0].stored_recipes()
    if set(own) <= set(shapes) or not set(packed) <= set(shapes):  # where neither fits, `plan` names what is missing
        return TensorMap({path: Stored(path) for path in own})
    return TensorMap(invert(packed, {path: param.shape for path, param in plain.parameter_paths().items()}))


def probe_inputs(program: Program) -> dict[str, Tensor]:
    """Seeded ids, the first row padded on the left; every other input as its stand-in says.

    On the right where padding takes places in experts: on the left those would be missing to tokens, and what padding
    holds, by which it chooses its experts, is not defined.
    """
    places = any(node.op == "limit_choices" for graph in program.graphs() for node in graph.nodes)
    generator = torch.Generator().manual_seed(PROBE_SEED)
    inputs: dict[str, Tensor] = {}
    for name, declared in program.main.inputs.items():
        if name in program.optional:
            continue
        long = _samples(program) if any(u.op == "strided_conv" for u in program.main.users(name)) else PROBE_TOKENS
        shape = [PROBE_BATCH, *(d if isinstance(d, int) else long for d in declared.shape[1:])]
        if declared.dtype == "int":
            rows = [u.attrs["rows"] for u in program.main.users(name) if u.op == "embedding"]
            inputs[name] = torch.randint(min(rows, default=2), shape, generator=generator)
        else:
            inputs[name] = torch.randn(shape, generator=generator, dtype=torch.float64)
    for node in program.main.nodes:
        if node.op == "positions" and node.attrs["counts"] == "input":
            inputs[node.attrs["given"]] = torch.arange(PROBE_TOKENS).repeat(PROBE_BATCH, 1)
    for name, stand_in in program.optional.items():
        if stand_in == "ones" and name in program.main.inputs:
            inputs[name] = torch.ones(PROBE_BATCH, PROBE_TOKENS, dtype=torch.long)
            inputs[name][0, slice(-3, None) if places else slice(3)] = 0
    if PREFIX in program.main.inputs:  # short enough for a first step
        inputs[PREFIX] = (torch.arange(PROBE_TOKENS) < PROBE_TOKENS // 2 - 1).long().repeat(PROBE_BATCH, 1)
    return inputs


def _samples(program: Program) -> int:
    """Of a wave, so that its convolutions leave as many rows as there are tokens elsewhere."""
    long = PROBE_TOKENS
    for conv in reversed([node for node in program.main.nodes if node.op == "strided_conv"]):
        long = (long - 1) * int(conv.attrs["stride"]) + int(conv.attrs["kernel"])
    return long


def one_layer_each(program: Program) -> Program:
    """The program with each distinct block run once, by its first layer."""

    def cut(node: Node) -> Node:
        if node.op != "repeat":
            return node
        first = {call.block: call for call in reversed(calls(node))}
        return node.with_(attrs=repeat_attrs([first[name] for name in reversed(list(first))]))

    main = replace(program.main, nodes=tuple(map(cut, program.main.nodes)))
    return replace(program, main=main)


def _size(shape: tuple[int, ...]) -> int:
    n = 1
    for dim in shape:
        n *= dim
    return n
