"""Attention over compressed keys and values (DeepSeek-V2, arXiv 2405.04434, section 2.1), after the down projections.

Inputs: q (B, H, S, nope + rope) with its rope part rotated, latents c (B, S, rank), one rotary key k_rope
(B, 1, S, rope), key mask, one input for each name of `mask_inputs` as in `attention`. `kv_up` (H·(nope + value), rank)
expands c by head to [k_nope | v]. Only c and k_rope are kept between steps.
"""

from collections.abc import Sequence

from compiler.ir.types import TensorType, size
from compiler.masks.facts import cache_limit, holds, joins_prompt, looks_ahead, scored
from compiler.masks.pairs import visible_pairs
from compiler.ops.base import REQUIRED, Attrs, Env, Flops, Op, StateTensor


class LatentAttention(Op):
    name = "latent_attention"
    kind = "attention"
    saves = ("inputs", "outputs")
    fields = {"mask": REQUIRED, "scale": REQUIRED, "d_nope": REQUIRED, "d_value": REQUIRED, "mask_inputs": [],
              "at_least": "fp32"}  # fmt: skip
    n_inputs = (4, None)

    def check(self, inputs: Sequence[TensorType], attrs: Attrs) -> str | None:
        want = 4 + len(attrs.get("mask_inputs", []))
        return None if len(inputs) == want else f"{len(inputs)} inputs, wanted {want}"

    def infer(self, inputs: Sequence[TensorType], attrs: Attrs) -> tuple[TensorType, ...]:
        return (TensorType(inputs[0].dtype, (*inputs[0].shape[:3], attrs["d_value"])),)

    def params(self, inputs: Sequence[TensorType], attrs: Attrs) -> dict[str, tuple[int, ...]]:
        width = int(inputs[0].shape[1]) * (attrs["d_nope"] + attrs["d_value"])
        return {"kv_up": (width, int(inputs[1].shape[-1]))}

    def flops(self, inputs: Sequence[TensorType], attrs: Attrs, env: Env) -> Flops:
        """The cheaper of two ways: latents expanded for every key, or `kv_up` taken into the query and the output."""
        b, heads, s, d = (size(x, env) for x in inputs[0].shape)
        rank, nope, value = int(inputs[1].shape[-1]), attrs["d_nope"], attrs["d_value"]
        each = 2 * b * rank * heads * (nope + value)  # through kv_up: for every key, or for every query
        expanded, absorbed = 2 * b * heads * (d + value), 2 * b * heads * (rank + d - nope + rank)  # for each pair
        dense, exact = s * env["T"], visible_pairs(attrs["mask"], s, env["T"])
        if holds(attrs["mask"], "top_blocks"):  # blocks are chosen by the expanded keys
            gates = each * env["T"] + 2 * b * heads * d * s * scored(attrs["mask"], env["T"])
            return Flops(gates + expanded * dense, gates + expanded * exact)
        return Flops(
            *(min(each * env["T"] + expanded * pairs, each * s + absorbed * pairs) for pairs in (dense, exact))
        )

    def scores(self, inputs: Sequence[TensorType], attrs: Attrs, env: Env) -> int:
        b, heads, s = (size(x, env) for x in inputs[0].shape[:3])
        return b * heads * s * env["T"]

    def state(self, inputs: Sequence[TensorType], attrs: Attrs) -> tuple[StateTensor, ...]:
        limit = cache_limit(attrs["mask"])
        b, rank, rope = inputs[1].shape[0], inputs[1].shape[-1], inputs[2].shape[-1]
        return (
            StateTensor("c", (b, "T", rank), "cache", limit=limit),
            StateTensor("k_rope", (b, 1, "T", rope), "cache", limit=limit),
        )

    def lookahead(self, attrs: Attrs) -> str | None:
        return f"its mask {attrs['mask']['type']!r} sees later positions" if looks_ahead(attrs["mask"]) else None

    def whole_prompt(self, attrs: Attrs) -> bool:
        return joins_prompt(attrs["mask"])


OP = LatentAttention()
