"""Scaled dot-product attention after the projections: softmax(mask(softcap(q·kᵀ·scale + bias)))·v.

Inputs: q (B, H, S, D), k (B, G, T, D), v (B, G, T, Dv), key mask (B, T) or absent, then one input for each mask atom
that reads one (`mask_inputs` names them), then one bias (B|1, H|1, S, T) for each entry of `bias_at`
("before_scale", "after_scale" or "extra"). G divides H: a query head h reads key head h // (H/G). `mask` is an
expression of the spec's mask algebra. `cross`: keys come from another stack, computed once. A row that sees nothing
gives zeros (`empty_rows` "all": it sees everything).

Keys besides those of the sequence take part in the same softmax and are seen by every query: for each entry of
`extra` ("learned", "stack", "stream", "external") three more inputs, k (B, G, E, D), v (B, G, E, Dv) and their mask
(B, E) or absent. Keys of the kind "compressed" are slots of tokens that left the memory (see `compress_rows`): a query
sees the last `slots` of those made of tokens more than `after` before its segment (`compressed`: segment, after, slots,
rate). Those of the kind "zeros" stand before the first token (see `zero_keys`), their mask is (1, 1|H, S, E). A bias at
"extra" is for keys of these two kinds, before the scale. `sink`: a learned score for each head, whose value is zero.
"""

from collections.abc import Sequence

from compiler.ir.types import TensorType, size
from compiler.masks.facts import by_query_slots, cache_limit, holds, joins_prompt, looks_ahead, scored, shows_itself
from compiler.masks.pairs import causal_window, visible_pairs
from compiler.ops.base import REQUIRED, Attrs, Env, Flops, Op, StateTensor


class Attention(Op):
    name = "attention"
    kind = "attention"
    saves = ("inputs", "outputs")
    fields = {"mask": REQUIRED, "scale": REQUIRED, "softcap": None, "mask_inputs": [], "bias_at": [], "cross": False,
              "empty_rows": "zeros", "extra": [], "compressed": None, "sink": False, "at_least": "fp32"}  # fmt: skip
    n_inputs = (4, None)

    def check(self, inputs: Sequence[TensorType], attrs: Attrs) -> str | None:
        q, k, v = (x.shape for x in inputs[:3])
        if int(q[1]) % int(k[1]):
            return f"{q[1]} heads are not a multiple of {k[1]} key/value heads"
        if k[:3] != v[:3] or q[3] != k[3]:
            return f"q {q}, k {k} and v {v} do not fit"
        want = 4 + len(attrs.get("mask_inputs", [])) + len(attrs.get("bias_at", [])) + 3 * len(attrs.get("extra", []))
        return None if len(inputs) == want else f"{len(inputs)} inputs, wanted {want}"

    def infer(self, inputs: Sequence[TensorType], attrs: Attrs) -> tuple[TensorType, ...]:
        return (TensorType(inputs[0].dtype, (*inputs[0].shape[:3], inputs[2].shape[3])),)

    def params(self, inputs: Sequence[TensorType], attrs: Attrs) -> dict[str, tuple[int, ...]]:
        return {"sink": (int(inputs[0].shape[1]),)} if attrs.get("sink") else {}

    def flops(self, inputs: Sequence[TensorType], attrs: Attrs, env: Env) -> Flops:
        b, heads, s, d = (size(x, env) for x in inputs[0].shape)
        total = keys(inputs[1], env)
        per_pair = 2 * b * heads * (d + int(inputs[2].shape[3]))
        extra = s * extra_keys(inputs, attrs, env)
        own = visible_pairs(attrs["mask"], s, total)
        gates = 2 * b * heads * d * s * scored(attrs["mask"], total)
        if not (past := attrs.get("compressed")):
            return Flops(per_pair * (s * total + extra) + gates, per_pair * (own + extra) + gates)
        dense, exact = s * -(-total // past["rate"]), visible_slots(past, s, total)
        return Flops(per_pair * (s * total + extra + dense) + gates, per_pair * (own + extra + exact) + gates)

    def scores(self, inputs: Sequence[TensorType], attrs: Attrs, env: Env) -> int:
        b, heads, s = (size(x, env) for x in inputs[0].shape[:3])
        past = attrs.get("compressed")
        slots = -(-keys(inputs[1], env) // past["rate"]) if past else 0
        return b * heads * s * (keys(inputs[1], env) + extra_keys(inputs, attrs, env) + slots)

    def mask_elements(self, inputs: Sequence[TensorType], attrs: Attrs, env: Env) -> int:
        """None where kernels need no telling: everything is visible, or all up to the own token. A window that bites
        takes a mask where the kernel has no window of its own. Heads that look each at other keys have one each."""
        if attrs.get("cross") or attrs["mask"]["type"] == "full":
            return 0
        batch, heads, new = (size(x, env) for x in inputs[0].shape[:3])
        total = keys(inputs[1], env)
        if holds(attrs["mask"], "top_blocks"):
            return batch * heads * new * total
        if new == 1 or total <= (causal_window(attrs["mask"]) or 0):
            return 0
        limit = cache_limit(attrs["mask"])
        each = heads if holds(attrs["mask"], "by_head", "random_blocks") else 1
        return each * new * (total if limit is None else min(total, limit + new))

    def state(self, inputs: Sequence[TensorType], attrs: Attrs) -> tuple[StateTensor, ...]:
        if not attrs.get("cross") and inputs[1].shape[2] != "S":
            return ()  # a stack that runs once, over all of its source
        kind = "cross" if attrs.get("cross") else "cache"
        limit = None if attrs.get("cross") else cache_limit(attrs["mask"])
        time = inputs[1].shape[2] if attrs.get("cross") else "T"
        own = tuple(
            StateTensor(name, (x.shape[0], x.shape[1], time, x.shape[3]), kind, limit=limit)
            for name, x in (("k", inputs[1]), ("v", inputs[2]))
        )
        if not (past := attrs.get("compressed")):
            return own
        return own + tuple(
            StateTensor(f"compressed {x.name}", (*x.shape[:2], compressed_slots(past), x.shape[3]), "constant")
            for x in own
        )

    def lookahead(self, attrs: Attrs) -> str | None:
        if "stream" in attrs.get("extra", []):
            return "attention sees all of another stream"
        if attrs.get("cross") and by_query_slots(attrs["mask"]):
            return "the last query stands beside the last row of what it sees, and which is last is not known"
        if attrs.get("cross"):
            return None
        if attrs.get("empty_rows") == "all" and not shows_itself(attrs["mask"]):
            return "a row that sees nothing sees everything, later tokens included"
        if not looks_ahead(attrs["mask"]):
            return None
        return f"attention with the mask {attrs['mask']['type']!r} sees later positions"

    def whole_prompt(self, attrs: Attrs) -> bool:
        return not attrs.get("cross") and joins_prompt(attrs["mask"])


def keys(k: TensorType, env: Env) -> int:
    """Keys that a query may see: past and new ones where k holds the new tokens, else all of the source."""
    return env["T"] if k.shape[2] == "S" else size(k.shape[2], env)


def extra_keys(inputs: Sequence[TensorType], attrs: Attrs, env: Env) -> int:
    """Keys that every query sees besides those of the sequence; a product with zeros is none."""
    kinds = attrs.get("extra", [])
    first = len(inputs) - 3 * len(kinds)
    counted = [i for i, kind in enumerate(kinds) if kind not in ("compressed", "zeros")]
    return sum(size(inputs[first + 3 * i].shape[2], env) for i in counted)


def compressed_slots(past: Attrs) -> int:
    """Slots that a state keeps: those in view, those that wait until their tokens leave the memory, and two unfinished
    ones, which a step may write before it knows."""
    return int(past["slots"] + (past["segment"] + past["after"]) // past["rate"] + 1)


def visible_slots(past: Attrs, new: int, total: int) -> int:
    """Pairs of the last `new` of `total` queries and compressed slots in view."""
    segment, pairs, at = past["segment"], 0, total - new
    while at < total:
        end = min(total, (at // segment + 1) * segment)
        ready = max(0, at // segment * segment - past["after"]) // past["rate"]
        if ready >= past["slots"]:  # full from here on
            return pairs + (total - at) * int(past["slots"])
        pairs += (end - at) * ready
        at = end
    return pairs


OP = Attention()
