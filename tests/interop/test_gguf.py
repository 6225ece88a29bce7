"""GGUF files against the models they were converted from, and damaged ones."""

import json
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest
import torch
import transformers

from archspec.errors import InputError
from archspec.interop.gguf_file import QUANTS, read_gguf
from archspec.interop.huggingface import export_config
from archspec.interop.source import open_source
from archspec.spec import resolve
from archspec.spec.canonical import canonical
from compiler.cost.report import cost
from compiler.lower.program import lower
from compiler.verify.interpreter import interpret
from compiler.weights import load, open_weights
from tests.interop.gguf_files import converted, decoder_fields, gpt2_fields, write
from tests.interop.tiny import LLAMA3, VOCABULARY, Case, gpt2, llama, qwen2, qwen3

Kind = gguf.GGMLQuantizationType
IDS = torch.randint(5, VOCABULARY, (2, 9), generator=torch.Generator().manual_seed(0))
LLAMA31 = LLAMA3 | {"original_max_position_embeddings": 8192}

CASES = {
    "llama": llama(),
    "llama with biases, tied": llama(attention_bias=True, mlp_bias=True, tie_word_embeddings=True, head_dim=16),
    "llama with the scaling of 3.1": llama(rope_parameters=LLAMA31 | {"rope_theta": 500000.0}, head_dim=64),
    "qwen2": qwen2(),
    "qwen3": qwen3(),
    "gpt2": gpt2(),
}


def file_of(case: Case, folder: Path) -> tuple[Path, transformers.PreTrainedModel]:
    model = case.build()
    config, tensors = model.config, converted(model)
    fields = gpt2_fields(config) if config.model_type == "gpt2" else decoder_fields(config)
    if getattr(config, "rope_parameters", {}).get("rope_type") == "llama3":
        inverse, _ = transformers.modeling_rope_utils.ROPE_INIT_FUNCTIONS["llama3"](config, "cpu")
        plain = config.rope_parameters["rope_theta"] ** (-torch.arange(0, config.head_dim, 2).float() / config.head_dim)
        tensors["rope_freqs.weight"] = plain / inverse
    return write(folder / "model.gguf", config.model_type, fields, tensors), model


@pytest.mark.parametrize("name", CASES)
def test_means_what_the_converted_model_computes(name: str, tmp_path: Path) -> None:
    path, model = file_of(CASES[name], tmp_path)
    source = open_source(path)
    program = lower(resolve(source.spec))
    params = {path: param.shape for path, param in program.parameter_paths().items()}
    assert set(params) == set(source.tensors.recipes)
    weights = load(params, source.tensors, open_weights(path), torch.float64)
    with torch.no_grad():
        expected = model.double()(IDS).logits
    found = next(iter(interpret(program, weights, {"input_ids": IDS}).values()))
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("name", CASES)
def test_is_the_spec_of_the_folder(name: str, tmp_path: Path) -> None:
    path, model = file_of(CASES[name], tmp_path)
    model.float().save_pretrained(tmp_path / "folder")
    assert canonical(open_source(path).spec) == canonical(open_source(tmp_path / "folder").spec)
    again = json.loads(export_config(open_source(path).spec))
    assert again["model_type"] == model.config.model_type


def test_llama_rows_are_the_rows_of_the_folder(tmp_path: Path) -> None:
    path, model = file_of(CASES["llama"], tmp_path)
    model.save_pretrained(tmp_path / "folder")
    ours, theirs = open_source(path), open_source(tmp_path / "folder")
    shapes = {p: v.shape for p, v in lower(resolve(ours.spec)).parameter_paths().items()}
    a = load(shapes, ours.tensors, open_weights(path))
    b = load(shapes, theirs.tensors, open_weights(tmp_path / "folder"))
    assert all(torch.equal(a[path], b[path]) for path in shapes)


def test_name_tokenizer_and_weights_come_from_the_file(tmp_path: Path) -> None:
    model = CASES["llama"].build()
    more = {"general.basename": "SmolLM2", "general.size_label": "135M"}
    path = write(tmp_path / "x.gguf", "llama", decoder_fields(model.config), converted(model), None, more)
    source = open_source(path)
    assert (source.spec.name, source.weights, source.tokenizer) == ("smollm2-135m", path, None)
    tokens = more | {"tokenizer.ggml.tokens": ["a"], "tokenizer.ggml.eos_token_id": 0, "tokenizer.ggml.eot_token_id": 5}
    path = write(tmp_path / "y.gguf", "llama", decoder_fields(model.config), converted(model), None, tokens)
    assert open_source(path).tokenizer == path
    assert open_source(path).spec.origin["token_ids"] == {"eos": [0, 5]}


def mixture(name: str) -> gguf.GGMLQuantizationType:
    """As llama.cpp mixes: finer types for the table, for one part of all layers, and for one part of some."""
    if name == "token_embd.weight" or "attn_v" in name:
        return Kind.Q8_0
    return Kind.Q5_1 if name == "blk.1.ffn_down.weight" else Kind.Q4_0


def test_types_of_the_weights_are_the_files(tmp_path: Path) -> None:
    case = llama(hidden_size=64, intermediate_size=96, attention_bias=True)
    model = case.build()
    path = write(tmp_path / "m.gguf", "llama", decoder_fields(model.config), converted(model), mixture)
    file, resolved = read_gguf(path), resolve(open_source(path).spec)
    assert resolved.spec.precision.weights == {
        "default": "q4_0", "decoder.text.tokens.weight": "q8_0", "*.attention.v.weight": "q8_0",
        "decoder.1.gated_mlp.down.weight": "q5_1", "decoder.final_norm.weight": "fp32",
        **{f"*.{op}.pre_norm.weight": "fp32" for op in ("attention", "gated_mlp")},
        **{f"*.attention.{part}.bias": "fp32" for part in "qkvo"},
    }  # fmt: skip
    stored = sum(tensor.size for tensor in file.tensors.values())
    assert cost(resolved).parameters.weight_bytes == stored


def test_the_table_of_types_is_that_of_the_package() -> None:
    for number, (name, block, size) in QUANTS.items():
        assert Kind(number).name == name and gguf.GGML_QUANT_SIZES[Kind(number)] == (block, size)


@pytest.mark.parametrize("name", ["F16", "BF16", "Q8_0", "Q4_0", "Q4_1", "Q5_0", "Q5_1"])
def test_quantised_tensors_are_those_of_the_package(name: str, tmp_path: Path) -> None:
    kind, x = Kind[name], torch.randn(3, 64, generator=torch.Generator().manual_seed(0))
    path = write(tmp_path / "one.gguf", "llama", {}, {"x": x, "bias": x[0]}, lambda _: kind)
    source = open_weights(path)
    expected = gguf.quants.dequantize(gguf.quants.quantize(x.numpy(), kind), kind)
    assert source.shapes() == {"x": (3, 64), "bias": (64,)}
    assert torch.equal(source.read("x").float(), torch.from_numpy(expected))
    assert torch.equal(source.read("bias"), x[0])


@pytest.mark.parametrize("name", ["Q2_K", "Q3_K", "Q4_K", "Q5_K", "Q6_K", "IQ4_XS", "IQ4_NL"])
def test_k_quants_are_those_of_the_package(name: str, tmp_path: Path) -> None:
    kind = Kind[name]
    block, size = gguf.GGML_QUANT_SIZES[kind]
    # No quantiser exists in Python: any bytes are a tensor, except scales that are not finite.
    raw = np.random.default_rng(0).integers(0, 60, (2, size * 256 // block), dtype=np.uint8)
    writer = gguf.GGUFWriter(tmp_path / "k.gguf", "llama")
    writer.add_tensor("x", raw, raw_dtype=kind)
    for write_part in (
        writer.write_header_to_file,
        writer.write_kv_data_to_file,
        writer.write_tensors_to_file,
        writer.close,
    ):
        write_part()
    found = open_weights(tmp_path / "k.gguf").read("x")
    assert found.shape == (2, 256)
    assert torch.equal(found, torch.from_numpy(gguf.quants.dequantize(raw, kind)))


def test_every_cut_is_found(tmp_path: Path) -> None:
    path, _ = file_of(CASES["llama"], tmp_path)
    whole = path.read_bytes()
    header_end = min(t.start for t in read_gguf(path).tensors.values())
    for cut in [*range(4, header_end, 97), header_end, len(whole) - 33, len(whole) - 1]:
        path.write_bytes(whole[:cut])
        with pytest.raises(InputError, match="truncated GGUF"):
            open_source(path)
    path.write_bytes(b"")
    with pytest.raises(InputError, match="not a GGUF file"):
        open_source(path)


@pytest.mark.parametrize("at", [8, 16, 24, 40])
def test_a_false_count_is_no_memory_error(at: int, tmp_path: Path) -> None:
    path, _ = file_of(CASES["llama"], tmp_path)
    damaged = bytearray(path.read_bytes())
    damaged[at : at + 8] = (2**62).to_bytes(8, "little")
    path.write_bytes(bytes(damaged))
    with pytest.raises(InputError):
        open_source(path)


@pytest.mark.parametrize(
    ("fields", "more", "message"),
    [
        ({"expert_count": 8}, {}, "llama.expert_count.*changes the computation"),
        ({"attention.clamp_kqv": 1.0}, {}, "llama.attention.clamp_kqv.*is not understood"),
        ({"rope.scaling.type": "longrope"}, {}, "rope.scaling.type.*found 'longrope'"),
        ({"rope.dimension_count": 4}, {}, "rope.dimension_count"),
        ({}, {"split.count": 2}, "one part of a split GGUF"),
    ],
)
def test_what_is_not_understood_is_refused(
    fields: dict[str, Any], more: dict[str, Any], message: str, tmp_path: Path
) -> None:
    model = CASES["llama"].build()
    path = write(tmp_path / "x.gguf", "llama", decoder_fields(model.config) | fields, converted(model), None, more)
    with pytest.raises(InputError, match=message):
        open_source(path)


def test_an_unknown_architecture_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"GGUF architecture 'rwkv' has no importer; there are llama"):
        open_source(write(tmp_path / "x.gguf", "rwkv", {}, {}))


@pytest.mark.parametrize(
    ("fields", "scaling"),
    [
        ({"rope.scaling.type": "linear", "rope.scaling.factor": 4.0}, {"type": "linear", "factor": 4.0}),
        (
            {"rope.scaling.type": "yarn", "rope.scaling.factor": 4.0, "rope.scaling.original_context_length": 16},
            {"type": "yarn", "factor": 4.0, "original_length": 16},
        ),
    ],
)
def test_scaling_in_words(fields: dict[str, Any], scaling: dict[str, Any], tmp_path: Path) -> None:
    model = CASES["llama"].build()
    path = write(tmp_path / "x.gguf", "llama", decoder_fields(model.config) | fields, converted(model))
    block = open_source(path).spec._document["stacks"]["decoder"]["blocks"]["main"]
    assert block[0]["op"]["position"][0]["scaling"] == scaling


def test_other_divisors_than_those_of_llama_31_are_refused(tmp_path: Path) -> None:
    model = CASES["llama"].build()
    tensors = converted(model) | {"rope_freqs.weight": torch.tensor([1.0, 1.0, 2.0, 9.0])}
    path = write(tmp_path / "x.gguf", "llama", decoder_fields(model.config), tensors)
    with pytest.raises(InputError, match=r"rope_freqs\.weight is not a scaling"):
        open_source(path)
