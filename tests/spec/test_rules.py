"""Each rule across fields fires on its case, and the same op with sound numbers passes."""

from typing import Any

import pytest

from archspec.spec import SpecError, load_spec, resolve
from tests.spec.documents import ATTENTION, MLP, STACK, tiny

RELU = {"type": "mlp", "d_ff": 8, "activation": "relu"}


def moe(**router: Any) -> dict[str, Any]:
    return {"type": "moe", "n_experts": 8, "expert": RELU, "router": {"top_k": 2, **router}}


def groups(count: int, keep: int, score: str = "max") -> dict[str, Any]:
    return {"count": count, "keep": keep, "score": score}


def nsa(block: int, stride: int, select: int, **window: int) -> dict[str, Any]:
    return {
        "type": "compress_select_attention", "n_heads": 4, "compress": {"block": block, "stride": stride},
        "select": {"block": select, "count": 2}, "window": {"type": "window", "behind": 4, **window},
        "gate": "projected",
    }  # fmt: skip


def by_length(short: int, long: int) -> dict[str, Any]:
    factors = {"short": [1] * short, "long": [2] * long}
    return {"type": "rope", "scaling": {"type": "by_length", "original_length": 32, **factors}}


def buckets(**fields: int) -> dict[str, Any]:
    return {"type": "relative_bias", "distance": {"type": "log_buckets", **fields}}


SUM = f"{STACK}/input/sum"
BODY = f"{STACK}/blocks/main"
LSH = {"type": "lsh_attention", "n_heads": 4, "chunk": 8}
CONV = {"type": "long_conv", "filter": {"type": "modal", "order": 2}}
ADAPTIVE = {"type": "adaptive_tokens", "cutoffs": [20, 50], "divide": 2}
SOFTMAX = {"type": "adaptive_softmax", "cutoffs": [20, 50], "divide": 2}

HIERARCHICAL = {"type": "hierarchical_attention", "n_heads": 4, "block": 4}
ALONE = {"type": "attention", "n_heads": 4}
TOP = {"type": "top_blocks", "block": 4, "count": 2}
SEGMENT = {"mask": {"type": "segment", "length": 4, "memory": 4}}
SLOTS = {"type": "compressed_past", "segment": 4, "after": 4, "slots": 2, "rate": 2}
ZEROS = {"type": "zeros", "count": 2}
SHAW = {"type": "relative_vectors", "vectors": "sinusoid"}
CLIPPED = {"type": "table", "distance": {"type": "clip", "left": 2, "right": 2}}
MAPPED = {**ALONE, "key_map": {"type": "length_projection", "length": 64, "rank": 4}}


def group(count: int) -> dict[str, Any]:
    return {"type": "group", "groups": count}


CASES = [  # place, sound value, wrong value, where below the place, words
    (MLP, moe(groups=groups(4, 2)), moe(groups=groups(3, 2)), "router/groups/count", "multiple"),
    (MLP, moe(groups=groups(4, 4)), moe(groups=groups(4, 5)), "router/groups/keep", "more than there are groups"),
    (MLP, moe(groups=groups(8, 2)), moe(groups=groups(8, 1)), "router/top_k", "1 groups of 1 experts are kept"),
    (MLP, moe(groups=groups(4, 2, "top2_sum")), moe(groups=groups(8, 4, "top2_sum")), "router/groups/score",
     "two experts"),
    (MLP, moe(capacity={"type": "fraction", "fraction": 1}), moe(capacity={"type": "fraction", "fraction": 2}),
     "router/capacity/fraction", "at most 1"),
    (MLP, {"type": "ssd", "d_head": 8, "n_groups": 4}, {"type": "ssd", "d_head": 8, "n_groups": 3},
     "n_groups", "multiple"),
    (MLP, {"type": "ssd", "d_head": 8, "dt_limit": [0, 1]}, {"type": "ssd", "d_head": 8, "dt_limit": [1, 0]},
     "dt_limit", "in order"),
    (MLP, {**CONV, "n_heads": 4}, {**CONV, "n_heads": 5}, "n_heads", "multiple"),
    (MLP, {**LSH, "buckets": 8}, {**LSH, "buckets": 7}, "buckets", "even"),
    (MLP, {"type": "hierarchical_attention", "n_heads": 4, "block": 4},
     {"type": "hierarchical_attention", "n_heads": 4, "block": 5}, "block", "even"),
    (MLP, {"type": "hierarchical_attention", "n_heads": 4, "block": 4, "coarsest": 2},
     {"type": "hierarchical_attention", "n_heads": 4, "block": 4, "coarsest": 6}, "coarsest", "power of two"),
    (MLP, HIERARCHICAL, {**HIERARCHICAL, "mask": "causal"}, "mask", "later tokens included"),
    (MLP, {**ALONE, **SEGMENT, "extra_keys": [SLOTS, "sink"]}, {**ALONE, **SEGMENT, "extra_keys": [SLOTS, ZEROS]},
     "extra_keys/1", "at the same places"),
    (MLP, {**ALONE, "extra_keys": [ZEROS]}, {**ALONE, "source": "x", "extra_keys": [ZEROS]}, "extra_keys/0",
     "no such place"),
    (MLP, {**ALONE, "mask": TOP}, {**ALONE, "source": "x", "mask": {"type": "and", "of": ["full", TOP]}}, "mask",
     "own block"),
    (MLP, {**ALONE, "position": [{"type": "bias_where", "mask": "self", "add": 1}]},
     {**ALONE, "position": [{"type": "bias_where", "mask": {"type": "not", "of": TOP}, "add": 1}]}, "position/0/mask",
     "chooses by the scores"),
    (MLP, {**MAPPED, "position": [{"type": "temperature", "floor": 2, "scale": 1}]}, {**MAPPED, "position": ["rope"]},
     "position/0", "mixes positions"),
    (MLP, {**ALONE, "position": [{**SHAW, "terms": ["u_k", "q_r"]}]}, {**ALONE, "position": [{**SHAW,
     "terms": ["u_k"]}]}, "position/0/terms", "has no distance"),
    (MLP, {**ALONE, "position": [{**SHAW, "vectors": CLIPPED, "terms": ["s"]}]}, {**ALONE, "position": [{**SHAW,
     "terms": ["s"]}]}, "position/0/terms", "has no end"),
    (MLP, {**ALONE, "qk_norm": {"norm": group(4)}}, {**ALONE, "qk_norm": {"norm": group(3)}}, "qk_norm/norm/groups",
     "multiple"),
    (MLP, {**ALONE, "inner_norm": {"norm": group(32)}}, {**ALONE, "inner_norm": {"norm": group(32), "scope": "head"}},
     "inner_norm/norm/groups", "multiple"),
    (MLP, {"type": "selective_scan", "dt_rank": 4, "rank_norm": group(4)}, {"type": "selective_scan", "dt_rank": 2,
     "rank_norm": group(4)}, "rank_norm/groups", "multiple"),
    (MLP, {**RELU, "inner_norm": group(4)}, {**RELU, "inner_norm": group(3)}, "inner_norm/groups", "multiple"),
    (MLP, nsa(4, 2, 4), nsa(5, 2, 4), "compress/block", "not a multiple of the stride"),
    (MLP, nsa(4, 2, 4), nsa(4, 2, 3), "select/block", "not a multiple of the stride"),
    (MLP, nsa(4, 2, 4), nsa(4, 2, 4, ahead=1), "window/ahead", "causal"),
    (MLP, {"type": "linear_attention", "n_heads": 4, "decay": {"type": "fixed", "rate": 1}},
     {"type": "linear_attention", "n_heads": 4, "decay": {"type": "fixed", "rate": "=2-head"}}, "decay/rate",
     "at most 1"),
    (MLP, {"type": "linear_attention", "n_heads": 2, "decay": {"type": "fixed", "rate": [0.5, 0.9]}},
     {"type": "linear_attention", "n_heads": 4, "decay": {"type": "fixed", "rate": [0.5, 0.9]}}, "decay/rate",
     "2 rates for 4"),
    (f"{ATTENTION}/mask", {"type": "fixed", "block": 4, "summary": 4}, {"type": "fixed", "block": 4, "summary": 5},
     "summary", "more than the block"),
    (f"{ATTENTION}/mask", {"type": "keys", "of": {"type": "at", "positions": [63]}},
     {"type": "keys", "of": {"type": "at", "positions": [0, 64]}}, "of/positions", "beyond"),
    (f"{ATTENTION}/position", [by_length(4, 4)], [by_length(4, 3)], "0/scaling/long", "3 factors for 4 pairs"),
    (f"{ATTENTION}/position", [buckets(buckets=8, max=16)], [buckets(buckets=7, max=16)], "0/distance/buckets", "even"),
    (f"{ATTENTION}/position", [buckets(buckets=8, max=3)], [buckets(buckets=8, max=2)], "0/distance/max", "larger"),
    (f"{BODY}/1/pre_norm", {"type": "group", "groups": 4}, {"type": "group", "groups": 5}, "groups", "multiple"),
    (f"{BODY}/1", {"read": {"sum": ["x", "input"]}, "op": "identity"}, {"read": {"concat": ["x", "input"]},
     "op": "identity"},
     "op", "identity cannot"),
    (f"{BODY}/1", {"parallel": [{"op": RELU}, {"op": RELU}], "pre_norm": "rms"},
     {"parallel": [{"op": RELU}, {"op": RELU, "read": "input"}], "pre_norm": "rms"}, "pre_norm", "read the same"),
    (f"{BODY}/1", {"parallel": [{"op": RELU}]}, {"parallel": []}, "parallel", "at least one"),
    (SUM, ["tokens", "sinusoid"], [], "", "at least one part"),
    (SUM, [{"type": "axial", "shape": [8, 8], "widths": [16, 16]}], [{"type": "axial", "shape": [8, 8],
     "widths": [32]}],
     "0/widths", "1 widths for 2 axes"),
    (SUM, [{"type": "tokens", "width": 16, "then": [{"type": "linear", "width": 32}]}],
     [{"type": "tokens", "width": 16, "then": [{"type": "linear", "width": 24}]}], "", "24, not d_model"),
    (SUM, [{"type": "audio_conv", "channels": [32], "kernels": [3], "strides": [2]}],
     [{"type": "audio_conv", "channels": [32], "kernels": [3], "strides": []}], "0/channels", "one item for each"),
    (SUM, [ADAPTIVE], [{**ADAPTIVE, "cutoffs": [50, 20]}], "0/cutoffs", "rising"),
    ("head/logits", SOFTMAX, {**SOFTMAX, "cutoffs": [20, 100]}, "cutoffs", "below the size"),
    (SUM, [ADAPTIVE], [{**ADAPTIVE, "divide": 8}], "0/divide", "no width"),
]  # fmt: skip


@pytest.mark.parametrize(("place", "sound", "wrong", "below", "words"), CASES)
def test_rule(place: str, sound: Any, wrong: Any, below: str, words: str) -> None:
    resolve(load_spec(tiny({place: sound})))
    with pytest.raises(SpecError, match=words) as caught:
        resolve(load_spec(tiny({place: wrong})))
    assert caught.value.path == "/" + "/".join(filter(None, (place, below)))


def test_adaptive_tokens_and_softmax_belong_together() -> None:
    resolve(load_spec(tiny({SUM: [ADAPTIVE], "head/logits": SOFTMAX})))
    with pytest.raises(SpecError, match="the adaptive tokens have") as caught:
        resolve(load_spec(tiny({SUM: [ADAPTIVE], "head/logits": {**SOFTMAX, "cutoffs": [20, 60]}})))
    assert caught.value.path == "/head/logits/cutoffs"


def test_layers_that_share_weights_have_one_shape() -> None:
    wide = {"like": "main", "set": {"/1/op/d_ff": 128}}
    causal = {"like": "main", "set": {"/0/op/mask": "full"}}
    shared = [{"block": "main", "weights": "/s"}, {"block": "b", "weights": "/s"}]
    resolve(load_spec(tiny({f"{STACK}/blocks/b": causal, f"{STACK}/layers": shared})))
    with pytest.raises(SpecError, match="layer 1 shares the weights '/s' with a layer of other shapes"):
        resolve(load_spec(tiny({f"{STACK}/blocks/b": wide, f"{STACK}/layers": shared})))


@pytest.mark.parametrize("term", ["rope", "alibi", buckets(buckets=8, max=16), {**SHAW}, "relative_segments"], ids=str)
def test_places_of_two_stacks_have_no_distance(term: Any) -> None:
    look = {"op": {**ALONE, "source": "encoder", "position": [term]}}
    encoder = {"d_model": 32, "input": {"sum": [{"type": "tokens", "name": "source_ids"}]}}
    with pytest.raises(SpecError, match="the places of two stacks have nothing in common") as caught:
        resolve(load_spec(tiny({"stacks/encoder": encoder, f"{BODY}/1": look})))
    assert caught.value.path == f"/{BODY}/1/op/position/0"
    look["op"]["position"] = [{"type": "temperature", "floor": 2, "scale": 1}]
    resolve(load_spec(tiny({"stacks/encoder": encoder, f"{BODY}/1": look})))
