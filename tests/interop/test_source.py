"""What a SPEC argument may be, and what is refused."""

import json
from pathlib import Path
from typing import Any

import pytest
import transformers

from archspec.errors import InputError
from archspec.interop.hf import FAMILIES, family
from archspec.interop.huggingface import export_config, to_spec
from archspec.interop.source import open_source, open_spec, open_weights_source
from archspec.spec import load_spec, resolve
from archspec.spec.canonical import canonical
from tests.interop.tiny import llama

# As the Hub has them (SmolLM2-135M, gpt2, Llama-3.1-8B-Instruct, Qwen2.5-7B), fields and spellings kept.
PUBLISHED: dict[str, dict[str, Any]] = {
    "smollm2": {
        "architectures": ["LlamaForCausalLM"], "attention_bias": False, "attention_dropout": 0.0, "bos_token_id": 0,
        "eos_token_id": 0, "hidden_act": "silu", "hidden_size": 576, "initializer_range": 0.041666666666666664,
        "intermediate_size": 1536, "is_llama_config": True, "max_position_embeddings": 8192, "model_type": "llama",
        "num_attention_heads": 9, "num_hidden_layers": 30, "num_key_value_heads": 3, "pretraining_tp": 1,
        "rms_norm_eps": 1e-05, "rope_interleaved": False, "rope_scaling": None, "rope_theta": 100000,
        "tie_word_embeddings": True, "torch_dtype": "bfloat16", "transformers_version": "4.40.1", "use_cache": True,
        "vocab_size": 49152,
    },
    "gpt2": {
        "activation_function": "gelu_new", "architectures": ["GPT2LMHeadModel"], "attn_pdrop": 0.1,
        "bos_token_id": 50256, "embd_pdrop": 0.1, "eos_token_id": 50256, "initializer_range": 0.02,
        "layer_norm_epsilon": 1e-05, "model_type": "gpt2", "n_ctx": 1024, "n_embd": 768, "n_head": 12, "n_layer": 12,
        "n_positions": 1024, "resid_pdrop": 0.1, "summary_activation": None, "summary_first_dropout": 0.1,
        "summary_proj_to_labels": True, "summary_type": "cls_index", "summary_use_proj": True,
        "task_specific_params": {"text-generation": {"do_sample": True, "max_length": 50}}, "vocab_size": 50257,
    },
    "llama 3.1": {
        "architectures": ["LlamaForCausalLM"], "attention_bias": False, "bos_token_id": 128000,
        "eos_token_id": [128001, 128008, 128009], "hidden_act": "silu", "hidden_size": 4096,
        "intermediate_size": 14336, "max_position_embeddings": 131072, "mlp_bias": False, "model_type": "llama",
        "num_attention_heads": 32, "num_hidden_layers": 32, "num_key_value_heads": 8, "rms_norm_eps": 1e-05,
        "rope_scaling": {"factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
                         "original_max_position_embeddings": 8192, "rope_type": "llama3"},
        "rope_theta": 500000.0, "tie_word_embeddings": False, "torch_dtype": "bfloat16", "vocab_size": 128256,
    },
    "qwen2.5": {
        "architectures": ["Qwen2ForCausalLM"], "attention_dropout": 0.0, "eos_token_id": 151645, "hidden_act": "silu",
        "hidden_size": 3584, "intermediate_size": 18944, "max_position_embeddings": 32768, "max_window_layers": 28,
        "model_type": "qwen2", "num_attention_heads": 28, "num_hidden_layers": 28, "num_key_value_heads": 4,
        "rms_norm_eps": 1e-06, "rope_theta": 1000000.0, "sliding_window": 131072, "tie_word_embeddings": False,
        "use_mrope": False, "use_sliding_window": False, "vocab_size": 152064,
    },
}  # fmt: skip
ZOO = {"smollm2": "smollm2-135m", "gpt2": "gpt2", "llama 3.1": "llama-3.1-8b"}


def written(folder: Path, fields: dict[str, Any], name: str = "config.json", **form: Any) -> Path:
    (folder / name).write_text(json.dumps(fields, **form))
    return folder / name


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_configurations_are_read_and_given_back(name: str, tmp_path: Path) -> None:
    for form in ({"indent": 2}, {"indent": 4, "sort_keys": True}, {}):
        path = written(tmp_path, PUBLISHED[name], **form)
        assert export_config(open_spec(path)) == path.read_text()


@pytest.mark.parametrize("name", ZOO)
def test_the_zoo_has_the_same_architecture(name: str) -> None:
    imported = load_spec(to_spec(PUBLISHED[name]))
    assert canonical(imported) == canonical(open_spec(f"zoo:{ZOO[name]}"))


def test_an_edited_old_configuration_keeps_its_spelling(tmp_path: Path) -> None:
    document = json.loads(json.dumps(open_spec(written(tmp_path, PUBLISHED["llama 3.1"]))._document))
    rope = document["stacks"]["decoder"]["blocks"]["main"][0]["op"]["position"][0]
    rope["scaling"]["factor"] = 32
    edited = json.loads(export_config(load_spec(document)))
    scaling = PUBLISHED["llama 3.1"]["rope_scaling"] | {"factor": 32}
    assert edited == PUBLISHED["llama 3.1"] | {"rope_scaling": scaling}


def test_an_edit_that_the_family_cannot_say_is_refused(tmp_path: Path) -> None:
    document = json.loads(json.dumps(open_spec(written(tmp_path, PUBLISHED["smollm2"]))._document))
    attention = document["stacks"]["decoder"]["blocks"]["main"][0]["op"]
    attention["softcap"] = 50
    with pytest.raises(
        InputError, match=r"llama cannot say this architecture: at /stacks/.*op/softcap the spec has 50"
    ):
        export_config(load_spec(document))
    del attention["softcap"]
    attention["position"] = ["alibi"]
    with pytest.raises(InputError, match="the position must be Rope, found alibi"):
        export_config(load_spec(document))


def test_token_ids_come_along(tmp_path: Path) -> None:
    path = written(tmp_path, PUBLISHED["gpt2"])
    assert open_spec(path).origin["token_ids"] == {"bos": 50256, "eos": [50256]}
    written(tmp_path, {"eos_token_id": [1, 2], "pad_token_id": 3}, "generation_config.json")
    assert open_spec(path).origin["token_ids"] == {"bos": 50256, "eos": [1, 2], "pad": 3}


NEEDED: dict[str, dict[str, Any]] = {
    "deepseek_v2": {"num_experts_per_tok": 6},  # their own default is None, with which their model cannot run
    "deepseek_ocr2_text": {"num_experts_per_tok": 6, "mlp_layer_types": ["dense", *["sparse"] * 31]},
    "wav2vec2-conformer": {"feat_extract_norm": "layer"},
    "reformer": {"is_decoder": True, "num_buckets": 4},  # without, the first text decides
}


# Defaults of classes that transformers has dropped: TransfoXLConfig of 4.35.2.
OLD: dict[str, dict[str, Any]] = {
    "transfo-xl": {
        "vocab_size": 267735, "cutoffs": [20000, 40000, 200000], "d_model": 1024, "d_embed": 1024, "n_head": 16,
        "d_head": 64, "d_inner": 4096, "div_val": 4, "pre_lnorm": False, "n_layer": 18, "mem_len": 1600,
        "clamp_len": 1000, "same_length": True, "proj_share_all_but_first": True, "attn_type": 0, "sample_softmax": -1,
        "adaptive": True, "dropout": 0.1, "dropatt": 0.0, "untie_r": True, "init": "normal", "init_range": 0.01,
        "proj_init_std": 0.01, "init_std": 0.02, "layer_norm_epsilon": 1e-5, "eos_token_id": 0,
        "tie_projs": [False, True, True, True],
    },
}  # fmt: skip


@pytest.mark.parametrize("model_type", FAMILIES)
def test_an_empty_configuration_has_the_defaults_of_transformers(model_type: str) -> None:
    if model_type in OLD:
        fields = OLD[model_type] | {"model_type": model_type}
        assert canonical(load_spec(to_spec(fields))) == canonical(load_spec(to_spec({"model_type": model_type})))
        return
    needed = NEEDED.get(model_type, {})
    spec = resolve(load_spec(to_spec({"model_type": model_type, **needed})))
    config = transformers.CONFIG_MAPPING[model_type](**needed)
    # What their configuration class fills in means the same as leaving it away.
    fields = {key: value for key, value in config.to_dict().items() if key != "transformers_version"}
    assert canonical(load_spec(to_spec(fields))) == canonical(spec)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"model_type": "lama"}, "/model_type.*'lama' has no importer, did you mean 'llama'"),
        ({"architectures": ["LlamaForSequenceClassification"]}, "/architectures.*LlamaForSequenceClassification"),
        ({"hidden_act": "xielu"}, "/hidden_act.*found 'xielu'"),
        ({"num_key_value_heads": 4}, "/num_key_value_heads.*4 does not divide num_attention_heads = 9"),
        ({"num_hidden_layers": 0}, "/num_hidden_layers.*found 0"),
        ({"num_hidden_layers": "30"}, "/num_hidden_layers.*found '30'"),
        ({"rope_interleaved": True}, "/rope_interleaved.*changes the computation"),
        ({"rope_scaling": {"rope_type": "ntk", "factor": 2}}, "/rope_scaling|rope_type.*found 'ntk'"),
        ({"rope_scaling": {"rope_type": "linear", "factor": 2, "bend": 1}}, "bend.*not understood"),
        ({"rope_scaling": [1]}, "/rope_scaling.*expected an object"),
        ({"quantization_config": {"bits": 4}}, "/quantization_config"),
        ({"partial_rotary_factor": 0.5}, "/partial_rotary_factor"),
        ({"tie_word_embeddings": "yes"}, "/tie_word_embeddings.*expected true or false"),
    ],
)
def test_what_is_not_understood_is_refused_by_name(change: dict[str, Any], message: str, tmp_path: Path) -> None:
    path = written(tmp_path, PUBLISHED["smollm2"] | change)
    with pytest.raises(InputError, match=message) as refusal:
        open_source(path)
    assert str(path) in str(refusal.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("https://example.org/config.json", "URLs are not opened"),
        ("pytorch_model.bin", "pickles"),
        ("model.PT", "pickles"),
        ("./nowhere", "no such file"),
        ("nowhere.json", "no such file"),
        ("llama-3-8", "neither an existing path nor a name in the zoo.*llama-3-8b"),
        ("Llama_3_8B", "did you mean llama-3-8b"),
        ("zoo:nothing-like-it-at-all", "neither an existing path"),
    ],
)
def test_what_is_no_spec_is_refused(text: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=message):
        open_spec(text)


def test_an_existing_path_wins_over_the_zoo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "gpt2").mkdir()
    written(tmp_path / "gpt2", PUBLISHED["smollm2"])
    monkeypatch.chdir(tmp_path)
    assert open_source("gpt2").kind == "huggingface"
    assert open_source("zoo:gpt2").kind == "zoo"


@pytest.mark.parametrize("content", ["{", "[1]", '{"a": 1}', '{"model_type": "llama", "model_type": "gpt2"}'])
def test_json_of_another_kind_is_refused(content: str, tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text(content)
    with pytest.raises(InputError, match=r"x\.json"):
        open_spec(tmp_path / "x.json")


def test_a_folder_says_what_it_carries(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"neither config.json nor spec.json"):
        open_source(tmp_path)
    path = written(tmp_path, PUBLISHED["smollm2"])
    assert (open_source(tmp_path).weights, open_source(tmp_path).tokenizer) == (None, None)
    assert open_source(path).weights is None
    llama().save(tmp_path)
    (tmp_path / "tokenizer.json").write_text("{}")
    source = open_source(tmp_path)
    assert (source.weights, source.tokenizer) == (tmp_path, tmp_path)
    assert open_weights_source(tmp_path) == (tmp_path, source.tensors)
    assert open_weights_source(tmp_path / "model.safetensors") == (tmp_path / "model.safetensors", source.tensors)


def test_a_package_is_read_under_our_names(tmp_path: Path) -> None:
    (tmp_path / "spec.json").write_text(json.dumps(open_spec("zoo:gpt2")._document))
    (tmp_path / "weights.safetensors").write_bytes(b"")
    source = open_source(tmp_path)
    assert (source.kind, source.weights, source.tensors) == ("package", tmp_path, None)
    assert open_weights_source(tmp_path) == (tmp_path, None)


def test_every_family_is_found_by_its_own_name() -> None:
    assert [family(name).model_type for name in FAMILIES] == list(FAMILIES)
