"""The passes, in order. Each is called with a program and returns the rewritten one and a record."""

from collections.abc import Callable, Sequence
from typing import Protocol

from archspec.errors import InputError
from compiler.ir.check import check
from compiler.ir.program import Program
from compiler.passes.activation_epilogue import ActivationEpilogue
from compiler.passes.bias_epilogue import BiasEpilogue
from compiler.passes.common_subexpressions import CommonSubexpressions
from compiler.passes.constant_folding import ConstantFolding
from compiler.passes.dead_nodes import DeadNodes
from compiler.passes.gate_up_packing import GateUpPacking
from compiler.passes.grouped_query import GroupedQuery
from compiler.passes.qkv_packing import QkvPacking
from compiler.passes.record import PassRecord
from compiler.passes.residual_norm import ResidualNorm


class Pass(Protocol):
    @property
    def name(self) -> str: ...

    def __call__(self, program: Program) -> tuple[Program, PassRecord]: ...


PASSES: tuple[Pass, ...] = (
    ConstantFolding(),
    CommonSubexpressions(),
    DeadNodes(),
    BiasEpilogue(),  # before the packings: a packed bias is part of the packed linear
    QkvPacking(),
    GateUpPacking(),
    ResidualNorm(),
    ActivationEpilogue(),  # after gate/up packing, which wants the activation on its own
    GroupedQuery(),  # after q, k, v packing, whose split it takes in
)


def run(program: Program, names: Sequence[str] | None = None) -> tuple[Program, tuple[PassRecord, ...]]:
    """`program` after the passes called `names` (None: all, empty: none), in the order of PASSES, and their records."""
    return run_passes(program, select(names))


def select(names: Sequence[str] | None) -> tuple[Pass, ...]:
    """The passes called `names`, in order. InputError names an unknown one and those that exist."""
    known = {p.name: p for p in PASSES}
    for name in names or ():
        if name not in known:
            raise InputError(f"there is no pass {name!r}; the passes are {', '.join(known)}")
    return PASSES if names is None else tuple(p for p in PASSES if p.name in names)


def run_passes(
    program: Program, passes: Sequence[Pass], after_each: Callable[[str, Program], None] | None = None
) -> tuple[Program, tuple[PassRecord, ...]]:
    """Well-formed before and after every pass (an unmodified program needs no second look)."""
    program = check(program)
    records: list[PassRecord] = []
    for one in passes:
        program, record = one(program)
        if record.modified:
            program = check(program)
        records.append(record)
        if after_each is not None:
            after_each(one.name, program)
    return program, tuple(records)
