"""Storage formats: bits with scales, whole blocks, what stays in 16 bit."""

import pytest

from archspec import zoo
from archspec.errors import InputError
from archspec.spec import load_spec, resolve
from archspec.spec.tree import Precision
from compiler.cost.formats import FORMATS, Storage, with_dtype
from compiler.cost.report import cost
from tests.cost.specs import decoder, resolved


@pytest.mark.parametrize(
    ("name", "bits"),
    [("int4", 4.25), ("q4_0", 4.5), ("q4_1", 5.0), ("q5_0", 5.5), ("q5_1", 6.0), ("q8_0", 8.5), ("q2_k", 2.625),
     ("q3_k", 3.4375), ("q4_k", 4.5), ("q5_k", 5.5), ("q6_k", 6.5625), ("int8", 8 + 16 / 4096), ("bf16", 16)],
)  # fmt: skip
def test_bits(name: str, bits: float) -> None:
    assert FORMATS[name].bits(4096) == pytest.approx(bits, abs=1e-12)
    assert FORMATS["fp8"].bits(4096) == pytest.approx(8 + 32 / 16384)


def test_rows_are_filled_up() -> None:
    assert FORMATS["q4_0"].bytes_of((3, 33)) == 3 * 2 * 18
    assert FORMATS["fp8"].bytes_of((129, 128)) == 129 * 128 + 2 * 4
    assert FORMATS["fp32"].bytes_of(()) == 4


def test_the_gguf_formats_agree_with_the_library() -> None:
    from gguf.constants import GGML_QUANT_SIZES, GGMLQuantizationType

    for name, format_ in FORMATS.items():
        if "_" in name:
            assert (format_.block, format_.block_bytes) == GGML_QUANT_SIZES[GGMLQuantizationType[name.upper()]]


def test_one_quantised_name_is_for_the_matrices_of_layers() -> None:
    storage = Storage(Precision(weights="int4"))
    assert storage.weight("linear").name == storage.weight("expert").name == "int4"
    assert {storage.weight(k).name for k in ("embedding", "head", "norm", "router")} == {"bf16"}
    mixed = Storage(Precision(weights={"linear": "q4_1", "embedding": "q8_0"}))
    assert [mixed.weight(k).name for k in ("linear", "embedding", "norm")] == ["q4_1", "q8_0", "bf16"]


def test_dtype_replaces_precision() -> None:
    base = Precision(weights="int4", cache="fp8")
    assert with_dtype(base, "fp16").model_dump(include={"weights", "activations", "cache"}) == {
        "weights": "fp16", "activations": "fp16", "cache": None,
    }  # fmt: skip
    assert with_dtype(base, "q4_0").cache == "fp8"
    with pytest.raises(InputError, match="unknown dtype"):
        with_dtype(base, "int3")


def test_the_bytes_of_a_real_file() -> None:
    """SmolLM2-135M as Q4_1 with a Q8_0 embedding and fp32 norms: the file is 98,362,432 B with its tokenizer."""
    document = zoo.read("smollm2-135m")
    document["precision"] = {"weights": {"linear": "q4_1", "embedding": "q8_0", "norm": "fp32"}}
    weights = cost(resolve(load_spec(document)), context=16).memory.weights
    assert weights == 106_168_320 * 20 // 32 + 28_311_552 * 34 // 32 + 35_136 * 4 == 96_576_768
    assert 0 < 98_362_432 - weights < 0.02 * weights


def test_bytes_of_a_mixed_model() -> None:
    document = decoder(d_model=128, heads=4, kv_heads=4, d_ff=256, layers=2)
    report = cost(resolved(document), context=16, dtype="int4")
    linear = 2 * (4 * 128 * 68 + 2 * 256 * 68 + 128 * 2 * 68)
    assert report.parameters.weight_bytes == linear + 2 * (2 * 100 * 128 + 5 * 128)
