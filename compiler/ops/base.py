"""What an operator declares, and what the interpreter, cost model, planner and writers read.

Legend: B batch, S new tokens, T total tokens (past and new), H heads, G key/value heads, D head size.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

from compiler.ir.types import TensorType

Attrs = Mapping[str, Any]
Env = Mapping[str, int]  # symbol -> size: B, S, T, ...


@dataclass(frozen=True, slots=True)
class Flops:
    """2 per multiply-add of every matrix product. `dense` counts hidden pairs too, `exact` only visible ones."""

    dense: int = 0
    exact: int = 0


@dataclass(frozen=True, slots=True)
class StateTensor:
    """One tensor carried between steps.

    kind: "cache" grows with the tokens seen (its time axis has `limit` slots at most: a ring buffer when a window
    bounds it), "cross" is computed once from a source stack, "constant" never grows. `every`: tokens to a slot, the
    last of which may be begun only.
    """

    name: str
    shape: tuple[int | str, ...]  # "T" marks the growing axis
    kind: str
    dtype: str = "float"
    limit: int | None = None
    every: int = 1


class Op:
    """Defaults of the contract; a `shape.py` overrides what differs and binds `OP = Its class()`."""

    name: str = ""
    kind: str = "shape and position"  # what pictures show it as (compiler/draw/kinds.py has the colours)
    fields: Mapping[str, Any] = {}  # attribute -> default; REQUIRED marks one without default
    n_inputs: tuple[int, int | None] = (1, 1)  # fewest, most (None: any)
    saves: tuple[str, ...] = ("inputs",)  # what a backward pass keeps, unless `kept` looks closer
    view: bool = False  # the outputs are views of the first input: no memory, no work

    def infer(self, inputs: Sequence[TensorType], attrs: Attrs) -> tuple[TensorType, ...]:
        """Types of the outputs."""
        return (inputs[0],)

    def params(self, inputs: Sequence[TensorType], attrs: Attrs) -> dict[str, tuple[int, ...]]:
        """Role -> shape of every tensor that this node owns."""
        return {}

    def flops(self, inputs: Sequence[TensorType], attrs: Attrs, env: Env) -> Flops:
        return Flops()

    def active_share(self, attrs: Attrs) -> float:
        """The part of this node's own parameters that one token uses (a mixture: chosen over all experts)."""
        return 1.0

    def touched(self, role: str, shape: tuple[int, ...], attrs: Attrs, tokens: int) -> float:
        """Elements of a parameter that `tokens` tokens together read: all, the rows asked for, or the experts chosen
        (distinct ones, if tokens choose evenly and apart)."""
        return prod(shape) * (1 - (1 - self.active_share(attrs)) ** max(tokens, 0))

    def kept(self, attrs: Attrs) -> tuple[str, ...]:
        """What a backward pass keeps of this node: "inputs", "outputs"."""
        return self.saves

    def inside(self, inputs: Sequence[TensorType], attrs: Attrs, env: Env) -> int:
        """Elements of values that exist only while the node runs, however it is written."""
        return 0

    def scores(self, inputs: Sequence[TensorType], attrs: Attrs, env: Env) -> int:
        """Elements of the score matrix that an attention kernel which is not fused holds in memory."""
        return 0

    def mask_elements(self, inputs: Sequence[TensorType], attrs: Attrs, env: Env) -> int:
        """Elements of the mask tensor that an attention kernel is given; nodes of one mask expression share it."""
        return 0

    def state(self, inputs: Sequence[TensorType], attrs: Attrs) -> tuple[StateTensor, ...]:
        return ()

    def moved(self, state: StateTensor, inputs: Sequence[TensorType], attrs: Attrs, env: Env) -> float:
        """How many times one pass moves all of a state. A cross cache is an input already; constant state is read and
        written."""
        return {"cache": 1.0, "cross": 0.0, "constant": 2.0}[state.kind]

    def lookahead(self, attrs: Attrs) -> str | None:
        """None if the output at position t depends on nothing after t; else the reason, for the refusal of `step`."""
        return None

    def whole_prompt(self, attrs: Attrs) -> bool:
        """True where tokens of a prompt see later ones of it, and no others do: it is not to be cut into chunks."""
        return False

    def changes_beyond(self, attrs: Attrs) -> int | None:
        """The length of a text beyond which all of its tokens mean something else; None where length has no say. In
        steps a text is as long as its state has room for, so that these are not `lookahead`."""
        return None

    def check(self, inputs: Sequence[TensorType], attrs: Attrs) -> str | None:
        """None, or what is wrong with this use of the operator."""
        return None


REQUIRED = object()
