"""Every operator alone, on ONNX Runtime, against its reference meaning."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from archspec.errors import InputError
from compiler import ops
from compiler.emit.onnx import emit
from compiler.ir.builder import Builder
from compiler.ir.check import check
from compiler.ir.program import Param, Program
from compiler.ir.types import TensorType, size
from compiler.ops.activation.shape import FUNCTIONS
from compiler.verify.interpreter import interpret
from tests.emit_onnx.models import draw, open_model
from tests.emit_onnx.row_cases import ROW_CASES

B, S, WIDTH = 2, 7, 24
X = TensorType("float", ("B", "S", WIDTH))
IDS = TensorType("int", ("B", "S"))
MASK = TensorType("int", ("B", "S"))
HEADS = TensorType("float", ("B", 4, "S", 16))
GROUPS = TensorType("float", ("B", 2, "S", 16))
FLAT = {
    "q": TensorType("float", ("B", "S", 64)),
    "k": TensorType("float", ("B", "S", 32)),
    "v": TensorType("float", ("B", "S", 32)),
}
GQA = {"heads": 4, "kv_heads": 2, "scale": 0.3}
ROPE = {"theta": 100.0, "dims": 16, "max_length": 32}
SCALED: dict[str, dict[str, Any]] = {
    "dynamic": {"type": "dynamic", "factor": 3},
    "by_length": {"type": "by_length", "short": [1 + i / 8 for i in range(8)], "long": [2.0 + i for i in range(8)]},
}
CAUSAL = {"type": "causal"}
CHOSEN, CHOSEN_INDEX = TensorType("float", ("B", "S", 2)), TensorType("int", ("B", "S", 2))
EXPERTS = {"n_experts": 10, "top_k": 2, "d_ff": 16}  # ids below 8 are drawn: two experts get no token
LATENTS = TensorType("float", ("B", "S", 12))
FP32 = {"at_least": "fp32"}
BLOCKS = TensorType("float", ("B", 2, "floor(T/2)", 16))
IMPORTANT = [TensorType("float", ("B", n, "S", "floor(T/2)")) for n in (2, 4)]
BUCKETS = {"type": "log_buckets", "buckets": 8, "max": 20}
PACKED = {"q": TensorType("float", ("B", "S", 128)), "": IDS, " ": IDS, "positions": IDS, "mask": MASK}
ATTENTION = {"q": HEADS, "k": GROUPS, "v": GROUPS, "mask": MASK}
NORMS = [
    {"eps": 1e-5}, {"eps": 0.1, "gain": "one_plus"}, {"eps": 0.1, "gain": "none"}, {"eps": 0.1, "eps_at": "outside"},
    {"eps": 0.1, "eps_at": "outside", "gain": "none"},
]  # fmt: skip
MASKS: list[dict[str, Any]] = [
    {"type": "full"}, {"type": "causal"}, {"type": "self"}, {"type": "window", "behind": 2},
    {"type": "window", "behind": None, "ahead": 1}, {"type": "window", "behind": 2, "ahead": 1, "block": 2},
    {"type": "window", "behind": 2, "ahead": 2, "dilation": 2}, {"type": "segment", "length": 3, "memory": 1},
    {"type": "keys", "of": {"type": "first", "count": 2}}, {"type": "queries", "of": {"type": "last", "count": 2}},
    {"type": "keys", "of": {"type": "at", "positions": [0, 4]}}, {"type": "strided", "stride": 3},
    {"type": "fixed", "block": 3, "summary": 1}, {"type": "not", "of": {"type": "causal"}},
    {"type": "and", "of": [{"type": "causal"}, {"type": "strided", "stride": 2}]},
    {"type": "or", "of": [{"type": "self"}, {"type": "keys", "of": {"type": "first", "count": 1}}]},
    {"type": "by_head", "of": [CAUSAL, {"type": "full"}, {"type": "self"}, {"type": "window", "behind": 2}]},
    {"type": "by_length", "up_to": 4, "then": {"type": "full"}, "otherwise": {"type": "causal"}},
    {"type": "by_length", "up_to": 7, "then": {"type": "full"}, "otherwise": {"type": "causal"}},
]  # fmt: skip

CASES: list[tuple[str, dict[str, TensorType], dict[str, Any]]] = [
    *(("activation", {"x": X}, {"function": f}) for f in FUNCTIONS),
    ("add", {"a": X, "b": X}, {}),
    ("add", {"a": X, "b": X}, {"left": 0.5, "right": -2}),
    ("alibi", {"mask": MASK}, {"heads": 6}),
    ("alibi", {"mask": MASK}, {"heads": 4, "max_bias": 4, "computed_in": "bf16"}),
    ("alibi", {"mask": MASK}, {"heads": 6, "computed_in": "fp16"}),
    ("bias", {"x": X}, {}),
    ("clamp", {"x": X}, {"low": -0.5, "high": 0.7}),
    ("clamp", {"x": X}, {"high": 0.1}),
    ("clamp", {"x": X}, {"low": 0.1}),
    ("concat", {"a": X, "b": X}, {}),
    ("concat", {"a": X, "b": X}, {"axis": -2}),
    ("embedding", {"ids": IDS}, {"rows": 40, "width": 8}),
    ("embedding", {"ids": IDS}, {"rows": 40, "width": 8, "offset": 2}),
    *(("layer_norm", {"x": X}, fields) for fields in [*NORMS, {"eps": 1e-5, "bias": False}]),
    *(("rms_norm", {"x": X}, fields) for fields in [*NORMS, {"eps": 1e-5, "bias": True}, {"eps": 0.1, "groups": 3},
                                                         {"eps": 0.1, "groups": 3, "eps_at": "outside"}]),
    *(("add_norm", {"a": X, "b": X}, {"norm": norm, "gain": "weight", "bias": norm == "layer_norm"} | fields)
      for norm in ("rms_norm", "layer_norm") for fields in [*NORMS, {"eps": 0.1, "left": 2, "right": 0.5}]),
    ("add_norm", {"a": X, "b": X}, {"norm": "rms_norm", "gain": "weight", "bias": True, "eps": 0.1}),
    ("add_norm", {"a": X, "b": X}, {"norm": "layer_norm", "gain": "weight", "bias": False, "eps": 0.1}),
    ("linear", {"x": X}, {"width": 10}),
    ("linear", {"x": X}, {"width": 10, "bias": True}),
    *(("linear", {"x": X}, {"width": 10, "bias": True, "activation": f}) for f in ("gelu", "gelu_tanh", "silu")),
    ("linear", {"x": X}, {"width": 10, "activation": "relu"}),
    ("gated_activation", {"x": X}, {"function": "silu"}),
    ("gated_activation", {"x": X}, {"function": "gelu_tanh"}),
    ("merge_heads", {"x": HEADS}, {}),
    ("split_heads", {"x": X}, {"heads": 3}),
    ("split", {"x": X}, {"sizes": [4, 12, 8]}),
    ("mul", {"a": X, "b": X}, {}),
    *(("positions", {"ids": IDS, "mask": MASK}, {"counts": c}) for c in ("index", "count_mask")),
    ("positions", {"ids": IDS, "mask": MASK}, {"counts": "count_nonpad", "pad_id": 1}),
    *(("read_rows", {"x": X, "mask": MASK}, {"rows": r}) for r in ("first", "last", "mean")),
    *(("relative_bias", {"q": HEADS, "k": GROUPS}, {"heads": 4, "distance": d}) for d in (
        {"type": "clip", "left": 2, "right": 3}, {"type": "exact", "max": 3},
        BUCKETS, BUCKETS | {"sides": 1})),
    ("rope", {"x": HEADS, "positions": IDS}, {"theta": 100.0, "dims": 16}),
    ("rope", {"x": HEADS, "positions": IDS}, ROPE),
    ("rope", {"x": HEADS, "positions": IDS}, ROPE | {"max_length": 10**7}),
    ("rope", {"x": HEADS, "positions": IDS}, ROPE | {"dims": 6}),
    ("rope", {"x": HEADS, "positions": IDS}, ROPE | {"dims": 6, "pairing": "interleaved", "offset": 4}),
    ("rope", {"x": HEADS, "positions": IDS}, ROPE | {"ladder": "closed", "scaling": {"type": "linear", "factor": 2}}),
    ("rope", {"x": HEADS, "positions": IDS},
     ROPE | {"scaling": {"type": "yarn", "factor": 4, "original_length": 8, "gain": 1.3}}),
    *(("rope", {"x": HEADS, "positions": IDS}, ROPE | {"scaling": SCALED[kind] | {"original_length": length}} | fields)
      for kind in SCALED for length in (4, 7) for fields in ({}, {"ladder": "closed", "pairing": "interleaved"})),
    *(("rope", {"x": HEADS, "positions": IDS}, ROPE | {"scaling": scaled | {"original_length": 32}})
      for scaled in SCALED.values()),
    *(("grouped_query_attention", FLAT | {"positions": IDS, "mask": MASK},
       GQA | {"mask": CAUSAL, "rope": ROPE | {"scaling": scaled | {"original_length": 4}}})
      for scaled in SCALED.values()),
    *(("router", {"logits": X}, {"top_k": 3} | fields) for fields in (
        {}, {"score": "sigmoid", "select_bias": True, "weights": "sum_to_one", "eps": 0.1, "scale": 2},
        {"score": "logits", "weights": "softmax_selected"}, {"groups": 4, "groups_keep": 2, "groups_score": "max"},
        {"groups": 4, "groups_keep": 2, "groups_score": "top2_sum", "weights": "sum_to_one"})),
    *(("experts", {"x": X, "weights": CHOSEN, "index": CHOSEN_INDEX}, EXPERTS | fields) for fields in (
        {"gated": True, "function": "silu"}, {"gated": False, "function": "relu", "bias": ["up", "down"]},
        {"gated": True, "function": "gelu", "clamp": 0.5, "up_offset": 1, "bias": ["gate", "up", "down"]},
        {"gated": True, "weigh": "input"})),
    ("latent_attention",
     {"q": HEADS, "c": LATENTS, "k_rope": TensorType("float", ("B", 1, "S", 6)), "mask": MASK},
     {"mask": CAUSAL, "scale": 0.3, "d_nope": 10, "d_value": 8}),
    ("causal_conv", {"x": X}, {"kernel": 4}), ("causal_conv", {"x": X}, {"kernel": 1, "bias": True}),
    *(("pool_rows", {"x": x}, {"stride": stride, "keep_first": first, "how": how})
      for x, how in ((X, "mean"), (IDS, "first"), (MASK, "min"))
      for stride, first in ((2, True), (3, False), (4, True))),
    *(("repeat_rows", {"x": TensorType("float", ("B", 3, WIDTH)), "like": IDS}, {"factor": n, "keep_first": n == 4})
      for n in (3, 4)),
    *(("relative_scores", {"q": HEADS, "k": TensorType("float", ("B", 4, keys, 16))},
       {"vectors": {"type": "sinusoid"}, "terms": ["q_r", "v_r"], "width": 8} | fields)
      for keys, fields in (("S", {}), ("S", {"skip_first": True}), (5, {"spacing": [[2, -1], [1, 0]]}),
                           ("S", {"spacing": [[4, -3], [2, -1]], "skip_first": True}))),
    ("relative_segments", {"q": HEADS, "own": IDS, "other": IDS}, {"skip_first": True}),
    ("repeat_heads", {"x": HEADS}, {"times": 3}), ("layer_norm", {"x": X}, {"eps": 0.1, "groups": 3}),
    ("layer_norm", {"x": X}, {"eps": 0.1, "groups": 3, "eps_at": "outside"}),
    ("learned_gate", {"x": X}, {}), ("learned_gate", {"x": X}, {"function": "sigmoid", "of": "channel"}),
    ("lerp", {"x": X, "previous": X}, {}), ("shift", {"x": X}, {}), ("wkv", {"k": X, "v": X}, FP32),
    ("axial_positions", {"ids": IDS}, {"shape": [5, 8], "widths": [3, 4]}),
    ("axial_positions", {"ids": IDS}, {"shape": [3, 4, 5], "widths": [2, 3, 4]}),
    ("batch_norm", {"x": X}, {"eps": 0.1}),
    ("batch_norm", {"x": HEADS}, {"eps": 0.1, "gain": "one_plus", "bias": False}),
    ("depthwise_conv", {"x": X}, {"kernel": 3}), ("depthwise_conv", {"x": X}, {"kernel": 4}),
    ("mask_rows", {"x": X, "mask": MASK}, {"fill": -3.0}),
    ("mask_rows", {"x": X, "mask": MASK}, {}), ("mask_rows", {"x": HEADS, "mask": MASK}, {}),
    ("log_decay", {"x": X}, {"function": "sigmoid", "divide": 16}),
    ("log_decay", {"x": X}, {"function": "exp_softplus"}),
    *(("random_features", {"x": HEADS}, {"features": 5, "eps": 0.1, "keys": keys}) for keys in (False, True)),
    ("random_features", {"x": HEADS, "mask": MASK}, {"features": 5, "eps": 0.1, "keys": True}),
    *(("running_feature_attention",
       {"q": HEADS, "k": TensorType("float", ("B", 4, "S", 6)), "v": TensorType("float", ("B", 4, "S", 8)), m: MASK},
       {"features": 16, "eps": 0.1, "scale": 0.3} | FP32 | fields)
      for m, fields in (("", {}), ("mask", {"key_sum": 50.0}), ("", {"key_sum": 50.0, "eps_at": "keys"}))),
    ("selective_scan", {"x": X, "dt": X, "b": LATENTS, "c": LATENTS}, {"d_state": 12} | FP32),
    ("ssd", {"x": X, "dt": TensorType("float", ("B", "S", 4)), "b": LATENTS, "c": LATENTS},
     {"n_heads": 4, "n_groups": 2, "dt_limit": [0.1, 2.0]} | FP32),
    *(("linear_attention", {"q": HEADS, "k": HEADS, "v": TensorType("float", ("B", 4, "S", 6))},
       {"scale": 0.1} | FP32 | fields)
      for fields in ({}, {"rates": [0.5, 0.9, 0.99, 1.0]}, {"mask": "full"}, {"mask": "full", "key_sum": 50.0},
                     {"mask": "full", "key_sum": 50.0, "eps_at": "keys"})),
    *(("compress_blocks", {"x": GROUPS, mask: MASK},
       {"block": 4, "stride": 2, "hidden": 5, "function": function})
      for mask, function in (("mask", "gelu"), ("", None))),
    *(("block_attention", {"q": HEADS, "k": BLOCKS, "v": BLOCKS, mask: MASK},
       {"block": 4, "stride": 2, "select": 4, "scale": 0.3} | fields | FP32)
      for mask, fields in (("mask", {}), ("mask", {"share": "kv_group", "learned": 2}), ("", {"learned": 1}))),
    *(("select_attention", {"q": HEADS, "k": GROUPS, "v": GROUPS, "important": IMPORTANT[n], mask: MASK},
       {"block": 2, "count": 1, "scale": 0.3, "least_share": 0.4}) for n in (0, 1) for mask in ("mask", "")),
    *(("hierarchical_attention", {"q": HEADS, "k": HEADS, "v": HEADS, mask: MASK},
       {"block": 2, "scale": 0.3, "coarsest": coarsest}) for coarsest in (2, 4) for mask in ("mask", "")),
    ("gru", {"r": X, "y": X}, {}),
    ("latents", {"like": X}, {"count": 5, "width": 8}),
    ("length_projection", {"x": X}, {"rank": 3, "length": 9}),
    ("head_gain", {"x": HEADS}, {}),
    ("head_gain", {"x": HEADS}, {"gain": "one_plus", "bias": True}),
    ("head_gain", {"x": HEADS}, {"gain": "none", "bias": True}),
    ("mask_bias", {"q": HEADS, "k": GROUPS}, {"mask": CAUSAL, "add": -2.5}),
    ("mask_bias", {"q": HEADS, "k": GROUPS, "prefix": MASK},
     {"mask": {"type": "keys", "of": {"type": "prefix"}}, "add": 1.5, "mask_inputs": ["prefix"]}),
    ("position_decay", {"x": HEADS, "positions": IDS}, {"base": 512, "sign": 1, "dims": 16}),
    ("position_decay", {"x": HEADS, "positions": IDS},
     {"base": 4, "sign": -1, "dims": 6, "offset": 2, "pairing": "interleaved"}),
    ("temperature", {"x": HEADS, "positions": IDS}, {"floor": 3, "scale": 0.5}),
    ("scale", {"x": X}, {"by": 3, "plus": 1}),
    ("sinusoid", {"positions": IDS}, {"width": 8, "offset": 1}),
    ("sinusoid", {"positions": IDS}, {"width": 8, "layout": "halves", "ladder": "closed"}),
    ("softcap", {"x": X}, {"cap": 2}),
    *(("attention", ATTENTION, {"mask": m, "scale": 0.3}) for m in MASKS),
    ("attention", ATTENTION, {"mask": CAUSAL, "scale": 1, "softcap": 2}),
    ("attention", ATTENTION, {"mask": {"type": "window", "behind": 1}, "scale": 1, "empty_rows": "all"}),
    ("attention", {"q": HEADS, "k": GROUPS, "v": GROUPS, "": MASK}, {"mask": CAUSAL, "scale": 0.3}),
    ("attention", ATTENTION | {"seen": TensorType("int", ("B", "S", "S"))},
     {"mask": {"type": "input", "name": "seen"}, "mask_inputs": ["seen"], "scale": 0.3}),
    ("attention", ATTENTION | {"left": IDS, "right": IDS},
     {"mask": {"type": "label", "queries": "left", "keys": "right", "compare": "at_most"}, "scale": 0.3,
      "mask_inputs": ["left", "right"]}),
    ("attention", ATTENTION | {"prefix": MASK},
     {"mask": {"type": "or", "of": [CAUSAL, {"type": "keys", "of": {"type": "prefix"}}]}, "scale": 0.3,
      "mask_inputs": ["prefix"]}),
    *(("attention", ATTENTION | {"bias": TensorType("float", ("B", 4, "S", "S"))},
       {"mask": CAUSAL, "scale": 0.3, "bias_at": [at], "softcap": cap})
      for at in ("before_scale", "after_scale") for cap in (None, 2)),
    *(("grouped_query_attention", FLAT | {"positions": IDS, "mask": MASK}, GQA | {"mask": m, "rope": ROPE} | more)
      for m in (CAUSAL, {"type": "and", "of": [CAUSAL, {"type": "window", "behind": 3}]}, {"type": "full"})
      for more in ({}, {"softcap": 2}, {"rope": ROPE | {"dims": 8, "pairing": "interleaved"}},
                   {"qk_norm": {"norm": "rms_norm", "eps": 0.1}},
                   {"qk_norm": {"norm": "layer_norm", "eps": 0.1, "gain": "one_plus", "bias": False}})),
    ("grouped_query_attention", FLAT | {"": IDS, "mask": MASK}, GQA | {"mask": CAUSAL}),
    ("grouped_query_attention", PACKED,
     GQA | {"mask": CAUSAL, "rope": ROPE}),
    ("grouped_query_attention", PACKED,
     GQA | {"mask": CAUSAL, "rope": ROPE, "qk_norm": {"norm": "rms_norm", "eps": 0.1}}),
]  # fmt: skip


def alone(op: str, inputs: dict[str, TensorType], attrs: dict[str, Any]) -> Program:
    """A program of this one operator; a blank input name is an absent input."""
    params: dict[str, Param] = {}
    b = Builder("main", params)
    for name, type_ in inputs.items():
        if name.strip():
            b.input(name, type_)
    types = [type_ if name.strip() else TensorType("absent", ()) for name, type_ in inputs.items()]
    declared = ops.get(op)
    outputs = tuple(str(i) for i in range(len(declared.infer(types, attrs))))
    roles = {role: f"p.{role}" for role in declared.params(types, attrs)}
    b.node(op, *(name.strip() for name in inputs), at="y", params=roles, outputs=outputs, **attrs)
    main = b.graph(*b.nodes[-1].outputs)
    return check(Program("alone", main, {}, params, {}, {"max_length": 32, "d_model": WIDTH, "has_head": False}))


def values(program: Program) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(3)
    made = {}
    for name, type_ in program.main.inputs.items():
        shape = [size(d, {"B": B, "S": S, "T": S}) for d in type_.shape]
        if name in ("mask", "prefix", "seen"):
            made[name] = (torch.rand(shape, generator=generator) > 0.3).long()
        elif type_.dtype == "int":
            made[name] = torch.randint(0, 8, shape, generator=generator)
        else:
            made[name] = 2 * torch.randn(shape, generator=generator, dtype=torch.float64)
    return made


def identity(case: Any) -> str:
    return (
        case
        if isinstance(case, str)
        else ""
        if not case or any(isinstance(v, TensorType) for v in case.values())
        else str(case)
    )


@pytest.mark.parametrize("runtime", ["ort", "portable"])
@pytest.mark.parametrize(("op", "inputs", "attrs"), [*CASES, *ROW_CASES], ids=identity)
def test_alone(op: str, inputs: dict[str, TensorType], attrs: dict[str, Any], runtime: str, tmp_path: Path) -> None:
    program = alone(op, inputs, attrs)
    given = values(program)
    if op == "grouped_query_attention":
        given["mask"][:, 0] = 1  # a causal row that sees nothing is undefined here
        if "positions" in given:
            given["positions"] = torch.stack([torch.arange(S), torch.arange(S) + 3])
    if op == "experts":  # no token chooses one expert twice
        given["index"][..., 1] = (given["index"][..., 0] + 3) % 8
    if attrs.get("max_length", 0) > 10**6:
        given["positions"] += 987_654  # far positions must not blur
    if op == "selective_scan":
        given["dt"] = given["dt"].abs() / 4  # time steps are positive
    params = draw(program)
    want = interpret(program, params, given)
    emit(program, params, tmp_path, runtime=runtime)
    session = open_model(tmp_path)
    feed = {
        name: value.numpy().astype(np.float32 if value.is_floating_point() else np.int64)
        for name, value in given.items()
    }
    kept = {i.name for i in session.get_inputs()}
    for got, expected in zip(
        session.run(None, {k: v for k, v in feed.items() if k in kept}), want.values(), strict=True
    ):
        np.testing.assert_allclose(got, expected.numpy(), atol=1e-5, rtol=1e-5)


def test_every_operator_with_an_onnx_form_is_tested_here() -> None:
    written = {name for name in ops.names() if ops.write(name, "onnx") is not None}
    assert written == {case[0] for case in [*CASES, *ROW_CASES]}, "each operator with a write_onnx.py needs a case here"


def test_an_operator_without_onnx_form_is_refused_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ops, "write", lambda name, target: None)
    with pytest.raises(InputError, match=r"cannot write softcap \(y.0\).*no ONNX form"):
        emit(alone("softcap", {"x": X}, {"cap": 2}), {}, tmp_path)


def test_a_field_that_the_onnx_form_does_not_read_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ops.write("scale", "onnx"), "FIELDS", ("by",))
    with pytest.raises(InputError, match="plus = 1 has no ONNX form"):
        emit(alone("scale", {"x": X}, {"by": 2, "plus": 1}), {}, tmp_path)
