"""Configurations and checkpoints as the authors published them, where transformers 5 would save them otherwise."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from archspec.errors import InputError
from archspec.interop.huggingface import to_spec
from archspec.spec import load_spec, resolve
from archspec.spec.canonical import canonical
from archspec.zoo import read as zoo
from tests.interop.test_families import IDS, TARGETS, logits_here
from tests.interop.tiny import CASES, VOCABULARY

PUBLISHED: dict[str, dict[str, Any]] = {
    "bloom-560m": {
        "model_type": "bloom", "apply_residual_connection_post_layernorm": False, "attention_softmax_in_fp32": True,
        "bias_dropout_fusion": True, "hidden_size": 1024, "layer_norm_epsilon": 1e-5, "masked_softmax_fusion": True,
        "n_inner": None, "n_layer": 24, "num_attention_heads": 16, "offset_alibi": 100, "seq_length": 2048,
        "skip_bias_add": True, "skip_bias_add_qkv": False, "slow_but_exact": False, "vocab_size": 250880,
    },
    "falcon-7b": {
        "model_type": "falcon", "alibi": False, "apply_residual_connection_post_layernorm": False, "bias": False,
        "hidden_size": 4544, "multi_query": True, "new_decoder_architecture": False, "num_attention_heads": 71,
        "num_hidden_layers": 32, "parallel_attn": True, "vocab_size": 65024,
    },
    "flan-t5-small": {
        "model_type": "t5", "d_ff": 1024, "d_kv": 64, "d_model": 512, "feed_forward_proj": "gated-gelu",
        "is_encoder_decoder": True, "n_positions": 512, "num_heads": 6, "num_layers": 8, "output_past": True,
        "tie_word_embeddings": False, "vocab_size": 32128,
    },
    "marian-en-de": {
        "model_type": "marian", "activation_function": "swish", "add_bias_logits": False, "d_model": 512,
        "decoder_attention_heads": 8, "decoder_ffn_dim": 2048, "decoder_layers": 6, "encoder_attention_heads": 8,
        "encoder_ffn_dim": 2048, "encoder_layers": 6, "extra_pos_embeddings": 58101, "max_position_embeddings": 512,
        "normalize_embedding": False, "num_hidden_layers": 6, "scale_embedding": True,
        "static_position_embeddings": True, "vocab_size": 58101,
    },
}  # fmt: skip


@pytest.mark.parametrize("name", PUBLISHED)
def test_is_the_architecture_of_the_zoo(name: str) -> None:
    assert canonical(load_spec(to_spec(PUBLISHED[name]))) == canonical(load_spec(zoo(name)))


@pytest.mark.parametrize(
    ("name", "field"),
    [
        ("bloom-560m", {"apply_residual_connection_post_layernorm": True}),
        ("falcon-7b", {"num_ln_in_parallel_attn": 2}),
        ("flan-t5-small", {"is_encoder_decoder": False}),
        ("marian-en-de", {"share_encoder_decoder_embeddings": False}),
    ],
)
def test_what_is_not_understood_is_refused(name: str, field: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=next(iter(field))):
        resolve(load_spec(to_spec(PUBLISHED[name] | field)))


def test_flan_has_a_head_of_its_own(tmp_path: Path) -> None:
    model = CASES["t5 flan"].save(tmp_path).double()
    head = torch.randn(VOCABULARY, 32, generator=torch.Generator().manual_seed(2))
    file = tmp_path / "model.safetensors"
    save_file(load_file(file) | {"lm_head.weight": head}, file)
    fields = json.loads((tmp_path / "config.json").read_text()) | {"tie_word_embeddings": False}
    (tmp_path / "config.json").write_text(json.dumps(fields))
    with torch.no_grad():
        states = model.encoder(IDS)
        decoded = model.decoder(TARGETS, encoder_hidden_states=states.last_hidden_state).last_hidden_state
    expected = decoded @ head.double().T
    torch.testing.assert_close(logits_here(tmp_path, IDS), expected, atol=1e-5, rtol=1e-5)
