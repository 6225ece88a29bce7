"""Mixtral, Qwen2-MoE and DeepSeek-V3 against transformers, weights copied."""

import math
from typing import Any

import pytest
from torch import nn
from transformers import (
    DeepseekV3Config,
    DeepseekV3ForCausalLM,
    MixtralConfig,
    MixtralForCausalLM,
    Qwen2MoeConfig,
    Qwen2MoeForCausalLM,
)

from tests.parity.models import VOCAB, decoder, difference, ids, redraw


def compare(spec: dict[str, Any], weights: dict[str, Any], model: nn.Module) -> float:
    tokens = ids(2, 13)
    return difference(spec, weights, model, {"input_ids": tokens}, model(input_ids=tokens, use_cache=False).logits)


def frame(weights: dict[str, Any], layers: int, attention: str, names: dict[str, str]) -> None:
    """Embedding, norms, head and attention, named as the Llama family does."""
    weights |= {
        "vocab.weight": "model.embed_tokens.weight",
        "decoder.final_norm.weight": "model.norm.weight",
        "head.logits.weight": "lm_head.weight",
    }
    for i in range(layers):
        theirs, ours = f"model.layers.{i}.", f"decoder.{i}.{attention}."
        weights[ours + "pre_norm.weight"] = theirs + "input_layernorm.weight"
        weights |= {ours + path: f"{theirs}self_attn.{name}" for path, name in names.items()}


def experts(weights: dict[str, Any], model: nn.Module, i: int, inner: str = "mlp") -> None:
    """Router and the experts' fused gate and up, of layer i."""
    theirs, ours = f"model.layers.{i}.", f"decoder.{i}.moe."
    gate, up = model.state_dict()[f"{theirs}{inner}.experts.gate_up_proj"].chunk(2, 1)
    weights |= {
        ours + "pre_norm.weight": theirs + "post_attention_layernorm.weight",
        ours + "router.weight": f"{theirs}{inner}.gate.weight",
        ours + "experts.gate.weight": gate,
        ours + "experts.up.weight": up,
        ours + "experts.down.weight": f"{theirs}{inner}.experts.down_proj",
    }


ATTENTION = {f"{r}.weight": f"{r}_proj.weight" for r in "qkvo"}


@pytest.mark.parametrize("top_k", [1, 2])
def test_mixtral(top_k: int) -> None:
    config = MixtralConfig(
        vocab_size=VOCAB,
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        num_local_experts=4,
        num_experts_per_tok=top_k,
        sliding_window=None,
    )
    model, norm = redraw(MixtralForCausalLM(config)), {"type": "rms", "eps": config.rms_norm_eps}
    attention = {
        "type": "attention",
        "n_heads": 4,
        "n_kv_heads": 2,
        "mask": "causal",
        "position": [{"type": "rope", "theta": config.rope_parameters["rope_theta"]}],
    }
    moe = {
        "type": "moe",
        "n_experts": 4,
        "expert": {"type": "gated_mlp", "d_ff": 48, "activation": "silu"},
        "router": {"top_k": top_k, "weights": "sum_to_one"},
    }
    steps = [{"pre_norm": norm, "op": attention}, {"pre_norm": norm, "op": moe}]
    spec = decoder("x", 32, {"main": steps}, [{"repeat": 2, "of": ["main"]}], norm, head={"logits": "linear"})
    weights: dict[str, Any] = {}
    frame(weights, 2, "attention", ATTENTION)
    for i in range(2):
        experts(weights, model, i)
    assert compare(spec, weights, model) < 1e-4


@pytest.mark.parametrize("normalised", [True, False])
def test_qwen2_moe_has_a_gated_shared_expert(normalised: bool) -> None:
    config = Qwen2MoeConfig(
        vocab_size=VOCAB,
        hidden_size=32,
        intermediate_size=48,
        moe_intermediate_size=16,
        shared_expert_intermediate_size=24,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        num_experts=4,
        num_experts_per_tok=2,
        norm_topk_prob=normalised,
    )
    model, norm = redraw(Qwen2MoeForCausalLM(config)), {"type": "rms", "eps": config.rms_norm_eps}
    attention = {
        "type": "attention",
        "n_heads": 4,
        "n_kv_heads": 2,
        "mask": "causal",
        "bias": ["q", "k", "v"],
        "position": [{"type": "rope", "theta": config.rope_parameters["rope_theta"]}],
    }
    moe = {
        "type": "moe",
        "n_experts": 4,
        "expert": {"type": "gated_mlp", "d_ff": 16, "activation": "silu"},
        "shared": {"expert": {"type": "gated_mlp", "d_ff": 24, "activation": "silu"}, "gate": "sigmoid"},
        "router": {"top_k": 2, "weights": "sum_to_one" if normalised else "as_scored"},
    }
    steps = [{"pre_norm": norm, "op": attention}, {"pre_norm": norm, "op": moe}]
    spec = decoder("x", 32, {"main": steps}, [{"repeat": 2, "of": ["main"]}], norm, head={"logits": "linear"})
    weights: dict[str, Any] = {}
    frame(weights, 2, "attention", ATTENTION | {f"{r}.bias": f"{r}_proj.bias" for r in "qkv"})
    for i in range(2):
        experts(weights, model, i)
        ours, theirs = f"decoder.{i}.moe.", f"model.layers.{i}.mlp."
        weights |= {
            f"{ours}shared.{r}.weight": f"{theirs}shared_expert.{r}_proj.weight" for r in ("gate", "up", "down")
        }
        weights[ours + "shared_gate.weight"] = theirs + "shared_expert_gate.weight"
    assert compare(spec, weights, model) < 1e-4


LATENT = {
    "q_down.weight": "q_a_proj.weight",
    "q_norm.weight": "q_a_layernorm.weight",
    "q.weight": "q_b_proj.weight",
    "kv_down.weight": "kv_a_proj_with_mqa.weight",
    "kv_norm.weight": "kv_a_layernorm.weight",
    "kv_up.weight": "kv_b_proj.weight",
    "o.weight": "o_proj.weight",
}


def test_deepseek_v3() -> None:
    """Latent attention, YaRN with its gain squared in the scale, sigmoid router with selection bias and groups."""
    rope = {
        "rope_type": "yarn",
        "rope_theta": 10000.0,
        "factor": 4.0,
        "original_max_position_embeddings": 16,
        "beta_fast": 32,
        "beta_slow": 1,
        "mscale": 1.0,
        "mscale_all_dim": 0.8,
    }
    config = DeepseekV3Config(
        vocab_size=VOCAB,
        hidden_size=32,
        intermediate_size=48,
        moe_intermediate_size=16,
        num_hidden_layers=3,
        num_attention_heads=4,
        num_key_value_heads=4,
        n_shared_experts=2,
        n_routed_experts=8,
        routed_scaling_factor=2.5,
        kv_lora_rank=16,
        q_lora_rank=12,
        qk_rope_head_dim=4,
        v_head_dim=10,
        qk_nope_head_dim=6,
        n_group=4,
        topk_group=2,
        num_experts_per_tok=3,
        first_k_dense_replace=1,
        max_position_embeddings=64,
        rope_parameters=rope,
    )
    model, norm = redraw(DeepseekV3ForCausalLM(config)), {"type": "rms", "eps": config.rms_norm_eps}
    whole = 0.1 * rope["mscale_all_dim"] * math.log(rope["factor"]) + 1
    gain = (0.1 * rope["mscale"] * math.log(rope["factor"]) + 1) / whole
    yarn = {"type": "yarn", "factor": 4, "original_length": 16, "gain": gain}
    latent = {
        "type": "latent_attention",
        "n_heads": 4,
        "q_rank": 12,
        "kv_rank": 16,
        "d_nope": 6,
        "d_rope": 4,
        "d_value": 10,
        "rank_norm": {"type": "rms", "eps": 1e-6},
        "scale": whole**2 / math.sqrt(10),
        "position": [{"type": "rope", "pairing": "interleaved", "dims": 4, "scaling": yarn}],
    }
    moe = {
        "type": "moe",
        "n_experts": 8,
        "expert": {"type": "gated_mlp", "d_ff": 16, "activation": "silu"},
        "shared": {"expert": {"type": "gated_mlp", "d_ff": 32, "activation": "silu"}},
        "router": {
            "score": "sigmoid",
            "select_bias": True,
            "groups": {"count": 4, "keep": 2, "score": "top2_sum"},
            "top_k": 3,
            "weights": {"type": "sum_to_one", "eps": 1e-20},
            "scale": 2.5,
        },
    }
    dense = [
        {"pre_norm": norm, "op": latent},
        {"pre_norm": norm, "op": {"type": "gated_mlp", "d_ff": 48, "activation": "silu"}},
    ]
    blocks = {"dense": dense, "sparse": {"like": "dense", "set": {"/1/op": moe}}}
    spec = decoder("d", 32, blocks, ["dense", {"repeat": 2, "of": ["sparse"]}], norm, head={"logits": "linear"})
    weights: dict[str, Any] = {}
    frame(weights, 3, "latent_attention", LATENT)
    weights["decoder.0.gated_mlp.pre_norm.weight"] = "model.layers.0.post_attention_layernorm.weight"
    weights |= {
        f"decoder.0.gated_mlp.{r}.weight": f"model.layers.0.mlp.{r}_proj.weight" for r in ("gate", "up", "down")
    }
    for i in (1, 2):
        experts(weights, model, i)
        ours, theirs = f"decoder.{i}.moe.", f"model.layers.{i}.mlp."
        weights[ours + "router.select_bias"] = theirs + "gate.e_score_correction_bias"
        weights |= {
            f"{ours}shared.{r}.weight": f"{theirs}shared_experts.{r}_proj.weight" for r in ("gate", "up", "down")
        }
    assert compare(spec, weights, model) < 1e-4
