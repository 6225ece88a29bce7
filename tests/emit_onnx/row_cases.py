"""Operators on rows, places, grids and clustered vocabularies, for `test_ops`: name, inputs, fields."""

from typing import Any

from compiler.ir.types import TensorType

WIDTH = 24
X = TensorType("float", ("B", "S", WIDTH))
INTS = TensorType("int", ("B", "S"))
SLOTS = TensorType("float", ("B", "floor((S+1)/2)", WIDTH))
GRID = TensorType("float", ("B", 3, "S", 5, WIDTH))
HEADS = TensorType("float", ("B", 2, "S", 8))
CHOICES = {"weights": TensorType("float", ("B", "S", 2)), "index": TensorType("int", ("B", "S", 2))}
CAPACITY = {"n_experts": 8, "top_k": 2}
TOKENS, FACTOR = {"type": "tokens", "per_expert": 2}, {"type": "factor", "factor": 0.9, "min": 1}
CLUSTERS = {"rows": 8, "cutoffs": [3, 5]}
MEMORY = {"segment": 2, "after": 1, "slots": 2, "rate": 2}

ROW_CASES: list[tuple[str, dict[str, TensorType], dict[str, Any]]] = [
    *(("adaptive_embedding", {"ids": INTS}, CLUSTERS | {"width": 12, "divide": divide}) for divide in (1, 2)),
    *(("adaptive_softmax", {"x": X}, CLUSTERS | {"divide": divide}) for divide in (1, 2)),
    *(("compress_rows", {"x": X, mask: INTS}, {"rate": 3, "map": how})
      for how in ("conv", "mean", "max") for mask in ("mask", "")),
    *(("fold_axis", {"x": GRID}, {"axis": axis}) for axis in (0, 1, 2)),
    *(("unfold_axis", {"x": TensorType("float", (f"{rest}*B", length, 9)), "grid": GRID}, {"axis": axis})
      for axis, (rest, length) in enumerate(((35, 3), (15, "S"), (21, 5)))),
    *(("join_masks", {"x": X, first: INTS, "slots": SLOTS, " ": INTS}, {}) for first in ("mask", "")),
    *(("limit_choices", CHOICES, CAPACITY | fields) for fields in (
        {"capacity": TOKENS}, {"capacity": FACTOR}, {"capacity": FACTOR | {"over": "batch"}, "above": 0.3},
        {"capacity": {"type": "fraction", "fraction": 0.3}, "share": 0.1}, {"above": 0.2, "share": 0.1})),
    *(("lsh_attention", {"x": HEADS, "v": HEADS, mask: INTS}, {"chunk": 2, "behind": 2, "buckets": 4, "rounds": 2})
      for mask in ("mask", "")),
    *(("marked_rows", {"q": X, "k": X, mask: INTS}, {"mask": {"type": "window", "behind": None, "ahead": -1}})
      for mask in ("mask", "")),
    ("marked_rows", {"q": X, "k": X, "": INTS, "prefix": INTS},
     {"mask": {"type": "and", "of": [{"type": "causal"}, {"type": "keys", "of": {"type": "prefix"}}]},
      "mask_inputs": ["prefix"]}),
    ("modal_conv", {"x": X}, {"order": 3, "groups": 4}),
    *(("patches", {"image": TensorType("float", ("B", 3, 8, 8))}, {"patch": 4, "width": 6} | fields)
      for fields in ({}, {"class_token": True, "bias": True})),
    *(("slice_rows", {"x": X}, fields) for fields in (
        {"start": 0, "stop": 1, "rows": 1}, {"start": -2, "stop": None, "rows": 2},
        {"start": 1, "stop": -1, "rows": "S-2"})),
    ("put_rows", {"x": X, "y": TensorType("float", ("B", 1, WIDTH))}, {"start": 0, "stop": 1}),
    ("put_rows", {"x": X, "y": TensorType("float", ("B", 2, WIDTH))}, {"start": -2, "stop": None}),
    ("put_rows", {"x": X, "y": TensorType("float", ("B", "S-2", WIDTH))}, {"start": 1, "stop": -1}),
    ("row_places", {"x": TensorType("int", ("B", 3, "S"))}, {}),
    *(("slot_places", {"x": X, "slots": SLOTS}, MEMORY | {"align": align}) for align in ("query", "oldest")),
    ("strided_conv", {"x": X}, {"channels": 5, "kernel": 3, "stride": 2}),
    ("strided_conv", {"x": TensorType("float", ("B", "S"))},
     {"channels": 5, "kernel": 2, "stride": 3, "bias": True}),
    ("take_rows", {"x": TensorType("float", ("B", 8, WIDTH)), "places": INTS}, {}),
    ("take_rows", {"x": TensorType("float", ("B", 8, 2, 3)), "places": TensorType("int", ("B", 2))}, {}),
    ("where_rows", {"old": X, "new": X, "mask": INTS}, {}),
    *(("zero_keys", {"x": X}, {"count": 3, "heads": 2, "d_key": 4, "d_value": 6, "mask": mask})
      for mask in ({"type": "full"}, {"type": "window", "behind": 4})),
]  # fmt: skip
