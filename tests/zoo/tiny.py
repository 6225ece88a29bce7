"""Any spec of the zoo made small by rule: the same structure and the same choices, every size a few units.

`shrink.shrunk` takes sizes told by hand, for a comparison with a model of exactly these sizes; here nothing is told.
"""

import copy
from typing import Any

import torch
from torch import Tensor

from archspec import zoo
from archspec.spec import Resolved, load_spec, resolve
from compiler.ir.program import Program
from compiler.masks.facts import PREFIX

VOCAB, LENGTH, TOKENS, SAMPLES = 97, 64, 12, 4000
HEADS = -1  # beside the widths: the most heads

# Field -> the most that it may be.
AT_MOST = {
    "n_experts": 8, "top_k": 3, "d_ff": 48, "q_rank": 12, "kv_rank": 16, "d_nope": 6, "d_rope": 4, "d_head": 8,
    "d_key": 8, "dt_rank": 4, "d_state": 8, "n_groups": 2, "rank": 6, "features": 16, "stride": 4, "chunk": 4,
    "buckets": 8, "rounds": 2, "kernel": 5, "channels": 12, "per_expert": 3, "left": 5, "right": 4, "summary": 2,
    "original_length": 16, "divide": 2, "segment": 6, "memory": 6, "after": 6, "slots": 6, "behind": 5, "ahead": 2,
    "block": 4, "max": 16, "keep": 2,
}  # fmt: skip
# (type, field) -> the new value, where its name alone does not tell.
EXACT: dict[tuple[str, str], Any] = {
    ("attention", "d_value"): 6, ("latent_attention", "d_value"): 10, ("linear_attention", "d_value"): 12,
    ("ssd", "d_head"): 8, ("ssd", "n_heads"): 8, ("selective_scan", "d_inner"): 64, ("patches", "size"): 8,
    ("patches", "patch"): 2, ("patches", "channels"): 3, ("axial", "shape"): [4, 16], ("axial", "widths"): [8, 24],
    ("length_projection", "length"): TOKENS, ("segment", "length"): 6, ("top_blocks", "count"): 2,
    ("by_length", "up_to"): 8, ("log_buckets", "max"): 16, ("first", "count"): 4, ("last", "count"): 4,
    ("adaptive_tokens", "cutoffs"): [20, 40, 70], ("adaptive_softmax", "cutoffs"): [20, 40, 70],
    ("latents", "count"): 5, ("random_blocks", "count"): 1, ("sinusoid", "clamp"): 10, ("add", "keep"): None,
    ("rope", "offset"): 4, ("compressed_past", "rate"): 3, ("window", "dilation"): None,
    ("gated", "divide"): None, ("alibi", "max_bias"): None,
}  # fmt: skip


def tiny(name: str) -> Resolved:
    """The zoo's spec `name`, made small."""
    return resolve(load_spec(document(name)))


def document(name: str) -> dict[str, Any]:
    made = copy.deepcopy(zoo.read(name))
    widths = sorted({stack["d_model"] for stack in made["stacks"].values()}, reverse=True)
    small = {width: 32 + 16 * i for i, width in enumerate(reversed(widths))}
    length = made.get("max_length", LENGTH)
    made["max_length"] = SAMPLES if "audio_conv" in str(made) else LENGTH
    if "vocab_size" in made:
        more, made["vocab_size"] = made["vocab_size"], VOCAB
        _sizes(made, {more: VOCAB}, lambda n: VOCAB + n - more if n > more else min(n, VOCAB))
    for stack in made["stacks"].values():
        _tables(stack["input"], length)
        stack["layers"] = [_fewer(entry) for entry in stack["layers"]] if "layers" in stack else []
    return dict(_shrunk(made, "", small | {HEADS: max(4, _masks_by_head(made))}))


def _masks_by_head(value: Any) -> int:
    """The most heads that some mask of the document tells apart."""
    parts = list(value.values() if isinstance(value, dict) else value if isinstance(value, list) else ())
    own = len(value["of"]) if isinstance(value, dict) and value.get("type") == "by_head" else 0
    return max([own, *map(_masks_by_head, parts)])


def _sizes(value: Any, known: dict[int, int], other: Any) -> None:
    """New sizes of the token tables and of the head."""
    for item in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        _sizes(item, known, other)
    if isinstance(value, dict) and value.get("type") in ("tokens", "adaptive_tokens", "linear") and "size" in value:
        value["size"] = known.get(value["size"], other(value["size"]))


def _tables(inputs: Any, length: int) -> None:
    """Tables of learned positions: as many rows more than positions as there were."""
    for declared in inputs if isinstance(inputs, list) else [inputs]:
        image = any(isinstance(part, dict) and part.get("type") == "patches" for part in declared["sum"])
        for part in declared["sum"]:
            if isinstance(part, dict) and part.get("type") == "learned" and "size" in part:
                part["size"] = 17 if image else LENGTH + max(0, min(part["size"] - length, 4))


def _fewer(entry: Any) -> Any:
    """A long run of a pattern once, of one block twice."""
    if not isinstance(entry, dict) or "repeat" not in entry:
        return entry
    times = entry["repeat"] if entry["repeat"] <= 2 else 1 if len(entry["of"]) > 1 else 2
    return {"repeat": times, "of": [_fewer(e) for e in entry["of"]]}


def _shrunk(value: Any, kind: str, widths: dict[int, int]) -> Any:
    if isinstance(value, list):
        return [_shrunk(item, kind, widths) for item in value]
    if not isinstance(value, dict):
        return value
    kind = value.get("type", kind)
    out = {key: _number(kind, key, item, widths, value) for key, item in value.items()}
    if "n_heads" in value and "n_heads" not in (key for k, key in EXACT if k == kind):
        heads, groups = value["n_heads"], value.get("n_kv_heads")
        out["n_heads"] = min(heads, widths[HEADS])
        if groups is not None:
            out["n_kv_heads"] = 1 if groups == 1 else out["n_heads"] if groups == heads else 2
    return out


def _number(kind: str, key: str, item: Any, widths: dict[int, int], beside: dict[str, Any]) -> Any:
    if (kind, key) in EXACT:
        return item if EXACT[kind, key] is None else EXACT[kind, key]
    if key in ("d_model", "width"):
        return widths.get(item, min(item, 24))
    if isinstance(item, list) and item and all(isinstance(n, int) for n in item):
        return [min(n, AT_MOST.get(key, n)) for n in item]
    if isinstance(item, int) and not isinstance(item, bool):
        if key == "dims":  # of a rotation: half of a head, or all of its rotated part
            return 4
        if key == "count" and "keep" in beside:
            return min(item, 4)
        return min(item, AT_MOST.get(key, item))
    return _shrunk(item, "", widths)


def inputs(program: Program, tokens: int = TOKENS, seed: int = 0, padded: bool = True) -> dict[str, Tensor]:
    """Seeded inputs of every kind, all required ones and all masks of padding; each length is another number.

    The first row is padded on the left, and where there are sources, their second row on the right. On the right in all
    of them where padding takes places in experts: on the left that would count, and what padding holds is not defined.
    """
    places = any(node.op == "limit_choices" for graph in program.graphs() for node in graph.nodes)
    generator = torch.Generator().manual_seed(seed)
    lengths: dict[str, int] = {"B": 2, "S": tokens, "T": tokens}
    made: dict[str, Tensor] = {}
    for name, declared in program.main.inputs.items():
        for d in declared.shape:
            if isinstance(d, str) and d not in lengths:
                lengths[d] = 5 + len(lengths)
        shape = [d if isinstance(d, int) else lengths[d] for d in declared.shape]
        users = program.main.users(name)
        if any(user.op == "strided_conv" for user in users):
            shape[1] = SAMPLES
        stand_in = program.optional.get(name)
        rows = [user.attrs["rows"] for user in users if user.op in ("embedding", "adaptive_embedding")]
        if stand_in == "ones":
            if padded:
                made[name] = torch.ones(shape, dtype=torch.long)
                left = not places and declared.shape[1] in ("S", "T")
                made[name][(0, slice(3)) if left else (1, slice(-2, None))] = 0
        elif name == PREFIX:  # of the prompt: its first tokens
            made[name] = (torch.arange(shape[1]) < 4).long().expand(shape)
        elif declared.dtype == "int":
            made[name] = torch.randint(min(rows, default=2), shape, generator=generator)
        else:
            made[name] = torch.randn(shape, generator=generator, dtype=torch.float64)
    for node in program.main.nodes:
        if node.op == "positions" and node.attrs["counts"] == "input":
            made[node.attrs["given"]] = torch.randint(32, (2, tokens), generator=generator)
    return made
