"""One drawn spec through every choice of passes: each rewritten program means what the lowered one means."""

import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from archspec.errors import InputError
from archspec.spec import load_spec, resolve
from compiler import pipeline
from compiler.ir.program import Program
from compiler.lower.program import lower
from compiler.masks.facts import PREFIX
from compiler.verify.compare import difference, real_positions
from compiler.verify.interpreter import interpret
from compiler.verify.pack import pack
from compiler.weights.init import init_weights

NAMES = tuple(p.name for p in pipeline.PASSES)
TOLERANCE = 1e-9  # of the value's size, at least 1, in float64
PROMPT = 3  # tokens that a prefix may mark
SIZES = {"B": 2, "S": 7, "T": 7}


@dataclass(frozen=True)
class Drawn:
    """A lowered spec with parameters (float64) and inputs, left padding in the second row."""

    program: Program
    params: Mapping[str, Tensor]
    inputs: Mapping[str, Tensor]


def compiled(document: dict[str, Any]) -> Drawn | str:
    """The spec ready to run, or why it is refused: by the language's rules, or as not lowered yet."""
    try:
        program = lower(resolve(load_spec(document)))
    except InputError as error:
        return error.message
    shapes = {path: p.shape for path, p in program.parameter_paths().items()}
    drawn = Drawn(program, init_weights(shapes, 0, torch.float64), inputs(program))
    return drawn if finite(drawn) else calmer(drawn)


def calmer(drawn: Drawn) -> Drawn:
    """With smaller matrices: a delta rule whose keys are longer than 1 grows by their square at every token, and a few
    layers of it leave float64."""
    small = {path: x / 8 if x.dim() > 1 and not path.endswith("variance") else x for path, x in drawn.params.items()}
    return replace(drawn, params=small)


def finite(drawn: Drawn) -> bool:
    """Whether the reference meaning is, where no padding is."""
    keep = real_positions(drawn.program, drawn.inputs)
    return all(_finite(value, keep) for value in interpret(drawn.program, drawn.params, drawn.inputs).values())


def inputs(program: Program) -> dict[str, Tensor]:
    """Something for every input of the program."""
    draw = torch.Generator().manual_seed(3)
    given: dict[str, Tensor] = {}
    for name, type_ in program.main.inputs.items():
        shape = tuple(5 if str(d).startswith("S_") else int(SIZES.get(str(d), d)) for d in type_.shape)
        if program.optional.get(name) == "ones":
            given[name] = torch.ones(shape, dtype=torch.bool)
            given[name][1, :2] = False
        elif type_.dtype == "bool":
            given[name] = torch.rand(shape, generator=draw) < 0.5
        elif type_.dtype == "int":
            rows = [n.attrs["rows"] for n in program.main.users(name) if "rows" in n.attrs and n.op == "embedding"]
            given[name] = torch.randint(0, min(rows, default=3), shape, generator=draw)
            if name == PREFIX:
                given[name][:, PROMPT:] = 0
        else:
            given[name] = torch.randn(shape, generator=draw, dtype=torch.float64)
    return given


def first_step(given: Mapping[str, Tensor]) -> int:
    """Tokens that the first step must hold at least: a prefix comes whole."""
    return PROMPT if PREFIX in given else 1


def subsets(seed: int) -> Iterator[tuple[str, ...]]:
    """All passes, each alone, all but each, and 8 random sets."""
    yield NAMES
    yield from ((name,) for name in NAMES)
    yield from (tuple(n for n in NAMES if n != name) for name in NAMES)
    choose = random.Random(seed)
    for _ in range(8):
        yield tuple(n for n in NAMES if choose.random() < 0.5)


def wrong(drawn: Drawn, seed: int = 0) -> str | None:
    """None where every choice of passes keeps the outputs; else which passes do not, bisected to one."""
    want = interpret(drawn.program, drawn.params, drawn.inputs)
    keep = real_positions(drawn.program, drawn.inputs)
    if not all(_finite(value, keep) for value in want.values()):
        return "the reference meaning is not finite"
    seen: list[Program] = [drawn.program]
    known: dict[tuple[int, str], Program] = {}
    for names in subsets(seed):
        after = rewritten(drawn.program, names, known)
        if after in seen:
            continue
        seen.append(after)
        if (gap := _error(drawn, after, want, keep)) > TOLERANCE:
            fired = [r.name for r in pipeline.run(drawn.program, names)[1] if r.modified]
            found = _bisected(drawn, names, want, keep)
            return f"{found}: off by {gap:.2g} (passes that fired: {', '.join(fired)})"
    return None


def rewritten(program: Program, names: tuple[str, ...], known: dict[tuple[int, str], Program]) -> Program:
    """The program after these passes. known: what each pass made of each program so far, which are kept alive by it."""
    for one in pipeline.select(names):
        before = program
        if (id(before), one.name) not in known:
            after, (record,) = pipeline.run_passes(before, (one,))
            known[id(before), one.name] = after if record.modified else before
        program = known[id(before), one.name]
    return program


def _error(drawn: Drawn, after: Program, want: Mapping[str, Tensor], keep: Tensor | None) -> float:
    got = interpret(after, pack(after, drawn.params), drawn.inputs)
    return max(difference(got[name], want[name], keep).relative for name in want)


def _bisected(drawn: Drawn, names: tuple[str, ...], want: Mapping[str, Tensor], keep: Tensor | None) -> str:
    """The first pass after which the outputs differ."""
    for i, name in enumerate(names):
        after, _ = pipeline.run(drawn.program, names[: i + 1])
        if _error(drawn, after, want, keep) > TOLERANCE:
            return name
    return "no single pass"


def _finite(value: Tensor, keep: Tensor | None) -> bool:
    if keep is not None and value.dim() >= 2 and value.shape[:2] == keep.shape:
        value = value[keep]
    return bool(value.isfinite().all())
