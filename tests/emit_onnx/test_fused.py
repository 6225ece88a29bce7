"""The fused operators are really there: counted in the written file, not hoped for."""

from collections import Counter
from pathlib import Path

import onnx
import pytest

from compiler.emit.onnx.target import FUSED, MICROSOFT, OPSET
from tests.emit_onnx.models import SPECS, export

LAYERS = 3


def counted(folder: Path) -> Counter[str]:
    model = onnx.load(folder / "model.onnx", load_external_data=False)
    return Counter(node.op_type for node in model.graph.node)


def test_a_plain_decoder_is_fused_through(tmp_path: Path) -> None:
    emission = export("llama", tmp_path, passes=True)
    counts = counted(tmp_path)
    assert counts["GroupQueryAttention"] == LAYERS
    assert counts["SimplifiedLayerNormalization"] == 2 * LAYERS + 1
    assert counts["QuickGelu"] == LAYERS
    assert counts["MatMul"] == 4 * LAYERS  # packed q, k, v; o; packed gate, up; down
    assert counts["FusedMatMul"] == 1  # the head reads the embedding's table as it lies
    assert not {"Attention", "RotaryEmbedding", "Sigmoid", "Transpose"} & set(counts)
    assert emission.operators == counts
    assert emission.notes == ()


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("gpt2", {"GroupQueryAttention": 3, "LayerNormalization": 7, "FastGelu": 3}),
        ("mistral with window", {"GroupQueryAttention": 3, "Attention": 0}),
        ("qwen2 with biases", {"GroupQueryAttention": 3, "Attention": 0}),
        # In each layer two norms and those of q and k; then the final one.
        ("qwen3 with qk norms", {"GroupQueryAttention": 3, "SimplifiedLayerNormalization": 13}),
        # 8 rotary dims are not a multiple of 16: the rotation stands outside.
        ("partial rotation", {"GroupQueryAttention": 3, "RotaryEmbedding": 6}),
        ("counted positions", {"GroupQueryAttention": 3, "RotaryEmbedding": 6}),
        ("softcap, one_plus", {"GroupQueryAttention": 3, "FastGelu": 3}),
        ("bert", {"Attention": 2, "LayerNormalization": 5, "BiasGelu": 2}),
        ("odd heads", {"GroupQueryAttention": 0, "Attention": 3, "RotaryEmbedding": 6}),
        ("alibi", {"GroupQueryAttention": 0, "Attention": 3}),
    ],
)
def test_what_each_kind_uses(name: str, expected: dict[str, int], tmp_path: Path) -> None:
    export(name, tmp_path, passes=True)
    counts = counted(tmp_path)
    assert {op: counts[op] for op in expected} == expected


@pytest.mark.parametrize("dtype", ["fp16", "bf16"])
@pytest.mark.parametrize(
    ("name", "expected"),
    [
        # Within a layer; the sum that ends one and the norm that begins the next lie in two blocks.
        ("llama", {"GroupQueryAttention": 3, "SkipSimplifiedLayerNormalization": 3, "SimplifiedLayerNormalization": 4}),
        ("gpt2", {"GroupQueryAttention": 3, "SkipLayerNormalization": 3, "LayerNormalization": 4}),
        ("bert", {"Attention": 2, "SkipLayerNormalization": 5, "LayerNormalization": 0}),
    ],
)
def test_what_cuda_uses(name: str, expected: dict[str, int], dtype: str, tmp_path: Path) -> None:
    export(name, tmp_path, passes=True, device="cuda", dtype=dtype)
    counts = counted(tmp_path)
    assert {op: counts[op] for op in expected} == expected


@pytest.mark.parametrize("name", ["llama", "bert"])
def test_skip_norms_are_left_to_cuda(name: str, tmp_path: Path) -> None:
    """On the CPU they are slower than their parts and less exact."""
    export(name, tmp_path, passes=True)
    assert not {"SkipSimplifiedLayerNormalization", "SkipLayerNormalization"} & set(counted(tmp_path))


def test_a_fused_operator_that_does_not_fit_is_said_with_its_reason(tmp_path: Path) -> None:
    emission = export("odd heads", tmp_path, passes=True)
    assert len(emission.notes) == 1
    assert "GroupQueryAttention not used" in emission.notes[0]
    assert "head size 12 is not a multiple of 8" in emission.notes[0]


def test_masks_and_tables_are_written_once(tmp_path: Path) -> None:
    """Three layers, one causal mask; the encoder-decoder one bias for each stack."""
    export("llama", tmp_path)
    assert counted(tmp_path)["LessOrEqual"] == 1
    export("encoder and decoder", tmp_path)
    counts = counted(tmp_path)
    assert counts["Where"] == 2
    assert counts["Attention"] == 6


@pytest.mark.parametrize("passes", [False, True], ids=["no passes", "passes"])
@pytest.mark.parametrize("name", SPECS)
def test_portable_uses_the_standard_only(name: str, passes: bool, tmp_path: Path) -> None:
    export(name, tmp_path, passes, "portable")
    model = onnx.load(tmp_path / "model.onnx", load_external_data=False)
    assert {node.domain for node in model.graph.node} == {""}
    for node in model.graph.node:
        assert node.op_type not in FUSED
        assert onnx.defs.has(node.op_type) and onnx.defs.get_schema(node.op_type, OPSET)
    opsets = {(entry.domain, entry.version) for entry in model.opset_import}
    assert opsets <= {("", OPSET), (MICROSOFT, 1)} and ("", OPSET) in opsets
