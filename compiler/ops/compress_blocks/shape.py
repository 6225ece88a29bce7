"""Overlapping blocks of rows become one row each (native sparse attention, arXiv 2502.11089, section 3.3.1).

x (B, G, S, D), key mask (B, T) -> (B, G, T // stride, D). Row w stands for the `block` rows that end before
(w + 1)·stride, zeros before the start and at padding: a learned row is added for each place in the block (`positions`
(G, block, D)), the rows are joined, and a network of one hidden layer makes D numbers of them: up (hidden, block·D),
`function`, down (D, hidden), each with a bias and shared by the heads. Rows past the last whole stride wait.

After native-sparse-attention-pytorch 0.2.3 (its positions by head, its network shared by the heads).
"""

from collections.abc import Sequence

from compiler.ir.types import TensorType, size
from compiler.ops.activation.shape import FUNCTIONS
from compiler.ops.base import REQUIRED, Attrs, Env, Flops, Op, StateTensor


class CompressBlocks(Op):
    name = "compress_blocks"
    kind = "matrix product"
    fields = {"block": REQUIRED, "stride": REQUIRED, "hidden": REQUIRED, "function": None}
    n_inputs = (2, 2)

    def check(self, inputs: Sequence[TensorType], attrs: Attrs) -> str | None:
        if attrs["block"] % attrs["stride"]:
            return f"a block of {attrs['block']} is no multiple of the stride {attrs['stride']}"
        function = attrs.get("function")
        return None if function is None or function in FUNCTIONS else f"no activation {function!r}"

    def infer(self, inputs: Sequence[TensorType], attrs: Attrs) -> tuple[TensorType, ...]:
        b, groups, rows, d = inputs[0].shape
        return (TensorType(inputs[0].dtype, (b, groups, blocks(rows, attrs["stride"]), d)),)

    def params(self, inputs: Sequence[TensorType], attrs: Attrs) -> dict[str, tuple[int, ...]]:
        groups, d, block, hidden = int(inputs[0].shape[1]), int(inputs[0].shape[3]), attrs["block"], attrs["hidden"]
        return {"positions": (groups, block, d), "up": (hidden, block * d), "up_bias": (hidden,),
                "down": (d, hidden), "down_bias": (d,)}  # fmt: skip

    def flops(self, inputs: Sequence[TensorType], attrs: Attrs, env: Env) -> Flops:
        """Of the blocks that the new tokens complete."""
        b, groups, new, d = (size(x, env) for x in inputs[0].shape)
        total = env["T"] if inputs[0].shape[2] == "S" else new
        made = total // attrs["stride"] - (total - new) // attrs["stride"]
        n = 2 * b * groups * made * attrs["hidden"] * d * (attrs["block"] + 1)
        return Flops(n, n)

    def inside(self, inputs: Sequence[TensorType], attrs: Attrs, env: Env) -> int:
        """The rows of every new block side by side."""
        return inputs[0].elements(env) * attrs["block"] // attrs["stride"]

    def state(self, inputs: Sequence[TensorType], attrs: Attrs) -> tuple[StateTensor, ...]:
        """The compressed rows so far, and the rows before that the next block may still read."""
        b, groups, rows, d = inputs[0].shape
        if rows != "S":
            return ()  # a stack that runs once, over all of its source
        return (
            StateTensor("compressed", (b, groups, "T", d), "cache", every=attrs["stride"]),
            StateTensor("tail", (b, groups, attrs["block"] - 1, d), "constant"),
        )

    def moved(self, state: StateTensor, inputs: Sequence[TensorType], attrs: Attrs, env: Env) -> float:
        """The compressed rows are the output, counted as that."""
        return 0.0 if state.kind == "cache" else super().moved(state, inputs, attrs, env)


def blocks(rows: int | str, stride: int) -> int | str:
    """How many blocks are whole after all rows: "S" new ones count with those before them."""
    return rows // stride if isinstance(rows, int) else f"floor({'T' if rows == 'S' else rows}/{stride})"


OP = CompressBlocks()
