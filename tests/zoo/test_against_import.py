"""The zoo and the importer tell the same story: the published configuration, imported, has the zoo's hash.

The configurations are transformers' own classes at the sizes that the model's card states, written by its `to_dict`, so
that a default read wrongly on either side shows.
"""

from typing import Any

import pytest
import transformers

from archspec.interop.huggingface import to_spec
from archspec.spec import load_spec, resolve, spec_hash, variant_hash
from tests.zoo.files import resolved

L31 = {"rope_type": "llama3", "rope_theta": 500000.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
       "original_max_position_embeddings": 8192}  # fmt: skip


def rope(theta: float) -> dict[str, Any]:
    return {"rope_type": "default", "rope_theta": theta}


def sizes(d: int, layers: int, heads: int, kv: int, ff: int, vocab: int, length: int, eps: float) -> dict[str, Any]:
    return {
        "hidden_size": d, "num_hidden_layers": layers, "num_attention_heads": heads, "num_key_value_heads": kv,
        "intermediate_size": ff, "vocab_size": vocab, "max_position_embeddings": length, "rms_norm_eps": eps,
    }  # fmt: skip


def config(kind: str, architecture: str, **fields: Any) -> dict[str, Any]:
    made = getattr(transformers, kind)(architectures=[architecture], **fields)
    return dict(made.to_dict(), transformers_version="5.23.0")


LLAMA, QWEN2, QWEN3 = (
    ("LlamaConfig", "LlamaForCausalLM"),
    ("Qwen2Config", "Qwen2ForCausalLM"),
    ("Qwen3Config", "Qwen3ForCausalLM"),
)
CASES: dict[str, dict[str, Any]] = {
    "llama-2-7b": config(*LLAMA, **sizes(4096, 32, 32, 32, 11008, 32000, 4096, 1e-5), rope_parameters=rope(10000.0)),
    "llama-3-8b": config(*LLAMA, **sizes(4096, 32, 32, 8, 14336, 128256, 8192, 1e-5), rope_parameters=rope(500000.0)),
    "llama-3.1-405b": config(
        *LLAMA, **sizes(16384, 126, 128, 8, 53248, 128256, 131072, 1e-5), rope_parameters={**L31, "factor": 8.0}
    ),
    "llama-3.2-1b": config(
        *LLAMA, **sizes(2048, 16, 32, 8, 8192, 128256, 131072, 1e-5), rope_parameters={**L31, "factor": 32.0},
        tie_word_embeddings=True, head_dim=64,
    ),
    "smollm2-135m": config(
        *LLAMA, **sizes(576, 30, 9, 3, 1536, 49152, 8192, 1e-5), rope_parameters=rope(100000.0),
        tie_word_embeddings=True,
    ),
    "mistral-7b": config(
        "MistralConfig", "MistralForCausalLM", **sizes(4096, 32, 32, 8, 14336, 32000, 32768, 1e-5),
        rope_parameters=rope(10000.0), sliding_window=4096,
    ),
    "qwen2-7b": config(*QWEN2, **sizes(3584, 28, 28, 4, 18944, 152064, 131072, 1e-6), rope_parameters=rope(1000000.0)),
    "qwen2.5-0.5b": config(
        *QWEN2, **sizes(896, 24, 14, 2, 4864, 151936, 32768, 1e-6), rope_parameters=rope(1000000.0),
        tie_word_embeddings=True,
    ),
    "qwen3-0.6b": config(
        *QWEN3, **sizes(1024, 28, 16, 8, 3072, 151936, 40960, 1e-6), rope_parameters=rope(1000000.0), head_dim=128,
        tie_word_embeddings=True,
    ),
    "gpt2": config("GPT2Config", "GPT2LMHeadModel"),
    "gpt2-xl": config("GPT2Config", "GPT2LMHeadModel", n_embd=1600, n_layer=48, n_head=25),
    "bert-base": config("BertConfig", "BertForMaskedLM"),
    "roberta-base": config(
        "RobertaConfig", "RobertaForMaskedLM", vocab_size=50265, max_position_embeddings=514, type_vocab_size=1,
        layer_norm_eps=1e-5,
    ),
    "minilm-l6": config(
        "BertConfig", "BertModel", hidden_size=384, num_hidden_layers=6, num_attention_heads=12, intermediate_size=1536
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_imported_configuration_is_the_zoos_spec(name: str) -> None:
    imported = resolve(load_spec(to_spec(CASES[name], name=name)))
    assert spec_hash(imported) == spec_hash(resolved(name))
    if CASES[name]["dtype"] in (None, "bfloat16"):
        assert variant_hash(imported) == variant_hash(resolved(name))
