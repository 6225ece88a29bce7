"""What each pass changes in the outputs: the passes run one by one, the reference interpreter after each."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from compiler.ir.program import Program
from compiler.pipeline import Pass, run_passes
from compiler.verify.interpreter import Params, interpret
from compiler.verify.pack import pack


@dataclass(frozen=True, slots=True)
class Error:
    """Largest absolute difference, and largest difference relative to the size of the reference value (at least 1)."""

    absolute: float
    relative: float


@dataclass(frozen=True, slots=True)
class PassError:
    """`since_start`: the outputs after this pass and all before it, against the unrewritten program."""

    name: str
    modified: bool
    since_start: Error


@dataclass(frozen=True, slots=True)
class Comparison:
    passes: tuple[PassError, ...]
    tolerance: float

    @property
    def first_above(self) -> str | None:
        """The first pass after which the outputs differ by more than the tolerance."""
        return next((p.name for p in self.passes if not p.since_start.relative <= self.tolerance), None)


def compare(
    program: Program,
    params: Params,
    inputs: Mapping[str, Tensor],
    passes: Sequence[Pass],
    tolerance: float = 1e-9,
) -> Comparison:
    """Outputs after each pass against those of `program` itself, in the float type of `params`.

    params: full path -> tensor. Only unpadded positions count where a mask is among the inputs.
    """
    reference = interpret(program, params, inputs)
    keep = real_positions(program, inputs)
    found: list[PassError] = []
    current, error = program, Error(0.0, 0.0)
    for one in passes:
        current, (record,) = run_passes(current, (one,))
        if record.modified:
            outputs = interpret(current, pack(current, params), inputs)
            errors = [difference(outputs[name], value, keep) for name, value in reference.items()]
            error = Error(max(e.absolute for e in errors), max(e.relative for e in errors))
        found.append(PassError(one.name, record.modified, error))
    return Comparison(tuple(found), tolerance)


def difference(got: Tensor, want: Tensor, keep: Tensor | None = None) -> Error:
    """Of two tensors of one shape; `keep` (B, S) or (B,) selects positions. NaN or infinity on one side is infinite."""
    if got.shape != want.shape:
        return Error(float("inf"), float("inf"))
    if keep is not None and want.shape[: keep.dim()] == keep.shape:
        got, want = got[keep], want[keep]
    got, want = got.double(), want.double()
    gap = torch.where(got == want, 0.0, (got - want).abs()).nan_to_num(float("inf"), float("inf"))
    relative = gap / want.abs().clamp(min=1)
    return Error(gap.max().item(), relative.max().item()) if gap.numel() else Error(0.0, 0.0)


def real_positions(program: Program, inputs: Mapping[str, Tensor]) -> Tensor | None:
    """(B, S), True where the output is defined, from the output stack's attention mask if the caller gave one; (B,)
    where a head reads the first position alone, be it padding."""
    lengths = {name: type_.shape for name, type_ in program.main.inputs.items() if name in inputs}
    name = next((n for n, shape in lengths.items() if shape == ("B", "T") and program.optional.get(n) == "ones"), None)
    if name is None:
        return None
    real, first = inputs[name].bool(), [n for n in program.main.nodes if n.op == "read_rows"]
    return real[:, 0] if first and first[-1].attrs["rows"] == "first" else real
