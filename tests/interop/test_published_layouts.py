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
    "gemma-2-9b": {
        "model_type": "gemma2", "attention_bias": False, "attn_logit_softcapping": 50.0,
        "cache_implementation": "hybrid",
        "final_logit_softcapping": 30.0, "head_dim": 256, "hidden_act": "gelu_pytorch_tanh",
        "hidden_activation": "gelu_pytorch_tanh", "hidden_size": 3584, "intermediate_size": 14336,
        "max_position_embeddings": 8192, "num_attention_heads": 16, "num_hidden_layers": 42, "num_key_value_heads": 8,
        "query_pre_attn_scalar": 256, "rms_norm_eps": 1e-6, "rope_theta": 10000.0, "sliding_window": 4096,
        "sliding_window_size": 4096, "vocab_size": 256000,
    },
    "gemma-3-1b": {
        "model_type": "gemma3_text", "attention_bias": False, "attn_logit_softcapping": None,
        "cache_implementation": "hybrid", "final_logit_softcapping": None, "head_dim": 256,
        "hidden_activation": "gelu_pytorch_tanh", "hidden_size": 1152, "intermediate_size": 6912,
        "max_position_embeddings": 32768, "num_attention_heads": 4, "num_hidden_layers": 26, "num_key_value_heads": 1,
        "query_pre_attn_scalar": 256, "rms_norm_eps": 1e-6, "rope_local_base_freq": 10000, "rope_scaling": None,
        "rope_theta": 1000000, "sliding_window": 512, "sliding_window_pattern": 6, "vocab_size": 262144,
    },
    "gpt-oss-20b": {
        "model_type": "gpt_oss", "attention_bias": True, "experts_per_token": 4, "head_dim": 64, "hidden_act": "silu",
        "hidden_size": 2880, "initial_context_length": 4096, "intermediate_size": 2880,
        "layer_types": ["sliding_attention", "full_attention"] * 12, "max_position_embeddings": 131072,
        "num_attention_heads": 64, "num_experts_per_tok": 4, "num_hidden_layers": 24, "num_key_value_heads": 8,
        "num_local_experts": 32, "output_router_logits": False, "rms_norm_eps": 1e-5, "rope_theta": 150000,
        "rope_scaling": {"beta_fast": 32.0, "beta_slow": 1.0, "factor": 32.0, "rope_type": "yarn", "truncate": False,
                         "original_max_position_embeddings": 4096},
        "router_aux_loss_coef": 0.9, "sliding_window": 128, "swiglu_limit": 7.0, "vocab_size": 201088,
    },
    "phi-3-mini-4k": {
        "model_type": "phi3", "attention_bias": False, "embd_pdrop": 0.0, "hidden_act": "silu", "hidden_size": 3072,
        "intermediate_size": 8192, "max_position_embeddings": 4096, "num_attention_heads": 32, "num_hidden_layers": 32,
        "num_key_value_heads": 32, "original_max_position_embeddings": 4096, "resid_pdrop": 0.0, "rms_norm_eps": 1e-5,
        "rope_scaling": None, "rope_theta": 10000.0, "sliding_window": 2047, "vocab_size": 32064,
    },
    "olmo-2-7b": {
        "model_type": "olmo2", "attention_bias": False, "hidden_act": "silu", "hidden_size": 4096,
        "intermediate_size": 11008, "max_position_embeddings": 4096, "num_attention_heads": 32, "num_hidden_layers": 32,
        "num_key_value_heads": 32, "rms_norm_eps": 1e-6, "rope_scaling": None, "rope_theta": 500000,
        "vocab_size": 100352,
    },
    "pythia-410m": {
        "model_type": "gpt_neox", "hidden_act": "gelu", "hidden_size": 1024, "intermediate_size": 4096,
        "layer_norm_eps": 1e-5, "max_position_embeddings": 2048, "num_attention_heads": 16, "num_hidden_layers": 24,
        "rotary_emb_base": 10000, "rotary_pct": 0.25, "use_parallel_residual": True, "vocab_size": 50304,
    },
    "switch-base-8": {
        "model_type": "switch_transformers", "add_router_probs": False, "batch_prioritized_routing": False,
        "capacity_factor": 1.0, "d_ff": 3072, "d_kv": 64, "d_model": 768, "decoder_sparse_step": 2,
        "dense_act_fn": "relu", "dropout_rate": 0.1, "encoder_sparse_step": 2, "expert_capacity": 64,
        "feed_forward_proj": "relu", "is_encoder_decoder": True, "is_gated_act": False, "layer_norm_epsilon": 1e-6,
        "min_expert_capacity": 4, "n_positions": 512, "num_decoder_layers": 12, "num_experts": 8, "num_heads": 12,
        "num_layers": 12, "num_selected_experts": 1, "num_sparse_decoder_layers": 6, "num_sparse_encoder_layers": 6,
        "router_bias": False, "router_dtype": "float32", "router_type": "tokens_masked", "vocab_size": 32128,
    },
    "roformer-base": {
        "model_type": "roformer", "directionality": "bidi", "embedding_size": 768, "hidden_act": "gelu",
        "hidden_size": 768, "intermediate_size": 3072, "layer_norm_eps": 1e-12, "max_position_embeddings": 1536,
        "num_attention_heads": 12, "num_hidden_layers": 12, "pooler_fc_size": 768,
        "pooler_type": "first_token_transform",
        "rotary_value": False, "type_vocab_size": 2, "vocab_size": 50000,
    },
    "longformer-base-4096": {
        "model_type": "longformer", "attention_mode": "longformer", "attention_window": [512] * 12,
        "gradient_checkpointing": False, "hidden_act": "gelu", "hidden_size": 768, "ignore_attention_mask": False,
        "intermediate_size": 3072, "layer_norm_eps": 1e-5, "max_position_embeddings": 4098, "num_attention_heads": 12,
        "num_hidden_layers": 12, "pad_token_id": 1, "sep_token_id": 2, "type_vocab_size": 1, "vocab_size": 50265,
    },
    "bigbird-roberta-base-eval": {
        "model_type": "big_bird", "architectures": ["BigBirdForPreTraining"], "attention_type": "block_sparse",
        "block_size": 64, "hidden_act": "gelu_new", "hidden_size": 768, "intermediate_size": 3072,
        "layer_norm_eps": 1e-12, "max_position_embeddings": 4096, "num_attention_heads": 12, "num_hidden_layers": 12,
        "num_random_blocks": 3, "position_embedding_type": "absolute", "rescale_embeddings": False,
        "type_vocab_size": 2, "use_bias": True, "vocab_size": 50358,
    },
    "xlm-roberta-xl": {
        "model_type": "xlm-roberta-xl", "hidden_act": "gelu", "hidden_size": 2560, "intermediate_size": 10240,
        "layer_norm_eps": 1e-5, "max_position_embeddings": 514, "num_attention_heads": 32, "num_hidden_layers": 36,
        "pad_token_id": 1, "position_embedding_type": "absolute", "type_vocab_size": 1, "vocab_size": 250880,
    },
    "xlnet-base": {
        "model_type": "xlnet", "attn_type": "bi", "bi_data": False, "clamp_len": -1, "d_head": 64, "d_inner": 3072,
        "d_model": 768, "dropout": 0.1, "end_n_top": 5, "ff_activation": "gelu", "layer_norm_eps": 1e-12,
        "mem_len": None, "n_head": 12, "n_layer": 12, "pad_token_id": 5, "reuse_len": None, "same_length": False,
        "start_n_top": 5, "summary_type": "last", "untie_r": True, "vocab_size": 32000,
    },
    "transformer-xl-wt103": {
        "model_type": "transfo-xl", "adaptive": True, "attn_type": 0, "clamp_len": 1000,
        "cutoffs": [20000, 40000, 200000], "d_embed": 1024, "d_head": 64, "d_inner": 4096, "d_model": 1024,
        "div_val": 4, "ext_len": 0, "mem_len": 1600, "n_head": 16, "n_layer": 18, "n_token": 267735,
        "pre_lnorm": False, "same_length": True, "sample_softmax": -1, "tgt_len": 128,
        "tie_projs": [False, True, True, True], "tie_weight": True, "untie_r": True, "vocab_size": 267735,
    },
    "reformer-enwik8": {
        "model_type": "reformer", "attention_head_size": 128, "attn_layers": ["local", "local", "lsh", "local"] * 3,
        "axial_norm_std": 1.0, "axial_pos_embds": True, "axial_pos_embds_dim": [256, 768],
        "axial_pos_shape": [128, 512], "chunk_size_lm_head": 0, "feed_forward_size": 4096, "hash_seed": None,
        "hidden_act": "relu", "hidden_size": 1024, "intermediate_size": 4096, "is_decoder": True,
        "layer_norm_eps": 1e-12, "local_attn_chunk_length": 128, "local_num_chunks_after": 0,
        "local_num_chunks_before": 1, "lsh_attn_chunk_length": 256, "lsh_num_chunks_after": 0,
        "lsh_num_chunks_before": 1, "max_position_embeddings": 65536, "num_attention_heads": 8, "num_buckets": 512,
        "num_hashes": 4, "num_hidden_layers": 12, "vocab_size": 258,
    },
    "nllb-moe-54b": {
        "model_type": "nllb-moe", "activation_function": "relu", "batch_prioritized_routing": False, "d_model": 2048,
        "decoder_attention_heads": 16, "decoder_ffn_dim": 8192, "decoder_layers": 24, "decoder_sparse_step": 4,
        "encoder_attention_heads": 16, "encoder_ffn_dim": 8192, "encoder_layers": 24, "encoder_sparse_step": 4,
        "expert_capacity": 64, "is_encoder_decoder": True, "max_position_embeddings": 1024,
        "moe_eval_capacity_token_fraction": 1.0, "moe_token_dropout": 0.2,
        "normalize_router_prob_before_dropping": False, "num_experts": 128, "num_hidden_layers": 24,
        "router_bias": False, "router_dtype": "float32", "router_ignore_padding_tokens": False,
        "router_jitter_noise": 0.01, "router_type": "tokens_masked", "scale_embedding": True,
        "second_expert_policy": "all", "vocab_size": 256206,
    },
    "wav2vec2-conformer-large": {
        "model_type": "wav2vec2-conformer", "architectures": ["Wav2Vec2ConformerForPreTraining"], "conv_bias": True,
        "conv_depthwise_kernel_size": 31, "conv_dim": [512] * 7, "conv_kernel": [10, 3, 3, 3, 3, 2, 2],
        "conv_stride": [5, 2, 2, 2, 2, 2, 2], "feat_extract_activation": "gelu", "feat_extract_dropout": 0.0,
        "feat_extract_norm": "layer", "hidden_act": "swish", "hidden_size": 1024, "intermediate_size": 4096,
        "layer_norm_eps": 1e-5, "max_source_positions": 5000, "num_attention_heads": 16, "num_hidden_layers": 24,
        "num_feat_extract_layers": 7, "position_embeddings_type": "relative", "rotary_embedding_base": 10000,
    },
    "w2v-bert-2.0": {
        "model_type": "wav2vec2-bert", "add_adapter": False, "architectures": ["Wav2Vec2BertModel"],
        "conv_depthwise_kernel_size": 31, "feature_projection_input_dim": 160, "hidden_act": "swish",
        "hidden_size": 1024, "intermediate_size": 4096, "layer_norm_eps": 1e-5, "left_max_position_embeddings": 64,
        "max_source_positions": 5000, "num_attention_heads": 16, "num_hidden_layers": 24,
        "position_embeddings_type": "relative_key", "right_max_position_embeddings": 8, "vocab_size": None,
    },
    "funnel-small": {
        "model_type": "funnel", "attention_type": "relative_shift", "block_repeats": [1, 1, 1],
        "block_sizes": [4, 4, 4],
        "d_head": 64, "d_inner": 3072, "d_model": 768, "hidden_act": "gelu_new", "initializer_std": None,
        "layer_norm_eps": 1e-9, "max_position_embeddings": 512, "n_head": 12, "num_decoder_layers": 2,
        "pool_q_only": True, "pooling_type": "mean", "separate_cls": True, "truncate_seq": True, "type_vocab_size": 3,
        "vocab_size": 30522,
    },
    "idefics-9b": {
        "model_type": "idefics", "additional_vocab_size": 2, "alpha_initializer": "zeros", "alpha_type": "float",
        "cross_layer_activation_function": "swiglu", "cross_layer_interval": 4, "hidden_act": "silu",
        "hidden_size": 4096, "intermediate_size": 11008, "max_sequence_length": 2048, "num_attention_heads": 32,
        "num_hidden_layers": 32, "qk_layer_norms": True, "rms_norm_eps": 1e-6, "tie_word_embeddings": False,
        "use_resampler": True, "vocab_size": 32000, "word_embed_proj_dim": 4096,
        "perceiver_config": {"qk_layer_norms_perceiver": True, "resampler_depth": 6, "resampler_head_dim": 96,
                             "resampler_n_heads": 16, "resampler_n_latents": 64, "is_encoder_decoder": False},
        "vision_config": {"embed_dim": 1280, "hidden_act": "gelu", "image_size": 224, "intermediate_size": 5120,
                          "num_attention_heads": 16, "num_hidden_layers": 32, "patch_size": 14,
                          "vision_model_name": "laion/CLIP-ViT-H-14-laion2B-s32B-b79K"},
    },
    "llama-3.2-11b-vision-text": {
        "model_type": "mllama_text_model", "cross_attention_layers": [3, 8, 13, 18, 23, 28, 33, 38], "dropout": 0,
        "hidden_act": "silu", "hidden_size": 4096, "intermediate_size": 14336, "max_position_embeddings": 131072,
        "num_attention_heads": 32, "num_hidden_layers": 40, "num_key_value_heads": 8, "rms_norm_eps": 1e-5,
        "rope_scaling": {"factor": 8.0, "high_freq_factor": 4.0, "low_freq_factor": 1.0, "rope_type": "llama3",
                         "original_max_position_embeddings": 8192},
        "rope_theta": 500000.0, "tie_word_embeddings": False, "vocab_size": 128256,
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


JUNK: list[Any] = [True, -1, 0, 1e308, "x", [], [None], [3, "a"], [True] * 3, {"a": 1}]


@pytest.mark.parametrize("name", PUBLISHED)
def test_junk_in_a_field_is_read_or_refused(name: str) -> None:
    for field in PUBLISHED[name]:
        for junk in JUNK:
            try:
                to_spec(PUBLISHED[name] | {field: junk})
            except InputError as refusal:
                assert str(refusal)


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
