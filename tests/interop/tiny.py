"""Tiny models of transformers, built from a configuration and saved as a folder; every weight drawn anew."""

import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import torch
import transformers

VOCABULARY = 97


def nothing(ids: torch.Tensor) -> dict[str, torch.Tensor]:
    return {}


def some_global(ids: torch.Tensor) -> dict[str, torch.Tensor]:
    """Every fifth word sees everything."""
    return {"global_attention_mask": (torch.arange(ids.shape[1]) % 5 == 2).long().expand_as(ids)}


def two_targets(ids: torch.Tensor) -> dict[str, torch.Tensor]:
    """An order in which words see those before them, the last two of which are to be found; two segments."""
    batch, n = ids.shape
    rank = torch.randperm(n, generator=torch.Generator().manual_seed(0)).argsort()
    mapping = torch.zeros(batch, 2, n, dtype=torch.float)
    mapping[:, 0, rank == n - 2] = mapping[:, 1, rank == n - 1] = 1
    return {
        "perm_mask": (rank[:, None] <= rank[None, :]).float().expand(batch, n, n),
        "target_mapping": mapping,
        "token_type_ids": (torch.arange(n) > n // 2).long().expand(batch, -1),
    }


@dataclass(frozen=True)
class Case:
    """`model` and `config` name classes of transformers; `bare` the class without head.

    role: a decoder steps. more: what the model reads beside these ids.
    """

    model: str
    config: str
    bare: str
    fields: dict[str, Any] = field(default_factory=dict)
    attention: str = "eager"  # which of transformers' implementations
    role: Literal["decoder", "encoder", "pair", "other"] = "decoder"
    more: Callable[[torch.Tensor], dict[str, torch.Tensor]] = nothing

    def build(self, cls: str | None = None, **changes: Any) -> transformers.PreTrainedModel:
        config = getattr(transformers, self.config)(vocab_size=VOCABULARY, **(self.fields | changes))
        config._attn_implementation = self.attention
        config._experts_implementation = "eager"  # the only one that computes in float64
        model = getattr(transformers, cls or self.model)(config).eval()
        redraw(model)
        return model

    def save(self, folder: Path, cls: str | None = None, **changes: Any) -> transformers.PreTrainedModel:
        model = self.build(cls, **changes)
        model.save_pretrained(folder)
        return model


@torch.no_grad()
def redraw(model: torch.nn.Module) -> None:
    """Gains are not 1 and biases not 0 afterwards; each parameter is drawn from its own name."""
    for name, p in model.named_parameters():
        if not p.requires_grad:  # sinusoids kept as a table
            continue
        if name.endswith(("time_decay", "time_first")) or "time_mix" in name:
            p.add_(0.1 * torch.randn(p.shape, generator=torch.Generator().manual_seed(zlib.crc32(name.encode()))))
            continue
        noise = torch.randn(p.shape, generator=torch.Generator().manual_seed(zlib.crc32(name.encode())))
        p.copy_(
            1 + 0.1 * noise
            if p.dim() < 2 and "norm" in name.lower()
            else noise * (0.1 if p.dim() < 2 else p.shape[-1] ** -0.5)
        )
    for name, buffer in model.named_buffers():
        if name.endswith(("e_score_correction_bias", "final_logits_bias")):
            buffer.copy_(0.1 * torch.randn(buffer.shape, generator=torch.Generator().manual_seed(1)))


DECODER = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 3, "num_attention_heads": 4,
           "num_key_value_heads": 2, "max_position_embeddings": 64}  # fmt: skip
ENCODER = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4,
           "max_position_embeddings": 40}  # fmt: skip
EXPERTS = DECODER | {"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 16}
LATENT = DECODER | {"num_key_value_heads": 4, "moe_intermediate_size": 16, "n_routed_experts": 8, "kv_lora_rank": 16,
                    "q_lora_rank": 12, "qk_rope_head_dim": 4, "qk_nope_head_dim": 6, "v_head_dim": 10, "n_group": 4,
                    "topk_group": 2, "num_experts_per_tok": 3, "first_k_dense_replace": 1}  # fmt: skip
MAMBA = {"hidden_size": 32, "num_hidden_layers": 2, "state_size": 8}
JAMBA = {"num_hidden_layers": 4, "attn_layer_period": 4, "attn_layer_offset": 2, "num_experts": 4, "mamba_d_state": 8,
         "mamba_dt_rank": 4}  # fmt: skip
GPT2 = {"n_embd": 32, "n_layer": 3, "n_head": 4, "n_positions": 64}
LLAMA3 = {"rope_type": "llama3", "rope_theta": 10000.0, "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
          "original_max_position_embeddings": 16}  # fmt: skip
LINEAR = {"rope_type": "linear", "rope_theta": 5000.0, "factor": 2.0}
YARN = {"rope_type": "yarn", "rope_theta": 10000.0, "factor": 4.0, "original_max_position_embeddings": 16}
SECOND_GAIN = YARN | {"mscale": 1.0, "mscale_all_dim": 0.8, "beta_fast": 32, "beta_slow": 1}
WINDOWS = {"use_sliding_window": True, "sliding_window": 4, "max_window_layers": 1}


def llama(**changes: Any) -> Case:
    return Case("LlamaForCausalLM", "LlamaConfig", "LlamaModel", DECODER | changes)


def mistral(**changes: Any) -> Case:
    return Case("MistralForCausalLM", "MistralConfig", "MistralModel", DECODER | changes)


def qwen2(**changes: Any) -> Case:
    return Case("Qwen2ForCausalLM", "Qwen2Config", "Qwen2Model", DECODER | changes)


def qwen3(**changes: Any) -> Case:
    return Case("Qwen3ForCausalLM", "Qwen3Config", "Qwen3Model", DECODER | {"head_dim": 16} | changes)


def gemma(kind: str, model: str = "", **changes: Any) -> Case:
    fields = DECODER | {"head_dim": 16, "pad_token_id": 0} | changes
    return Case(f"{model or kind}ForCausalLM", f"{kind}Config", f"{kind}Model", fields)


def phi3(**changes: Any) -> Case:
    return Case("Phi3ForCausalLM", "Phi3Config", "Phi3Model", DECODER | {"pad_token_id": 0} | changes)


def gpt_oss(**changes: Any) -> Case:
    sizes = {"num_local_experts": 4, "num_experts_per_tok": 2, "head_dim": 16, "sliding_window": 4, "swiglu_limit": 0.6}
    return Case("GptOssForCausalLM", "GptOssConfig", "GptOssModel", DECODER | sizes | changes)


def gpt_neox(**changes: Any) -> Case:
    return Case("GPTNeoXForCausalLM", "GPTNeoXConfig", "GPTNeoXModel", ENCODER | changes)


def mixtral(**changes: Any) -> Case:
    return Case("MixtralForCausalLM", "MixtralConfig", "MixtralModel", DECODER | {"num_local_experts": 4} | changes)


def qwen2_moe(**changes: Any) -> Case:
    fields = EXPERTS | {"shared_expert_intermediate_size": 24} | changes
    return Case("Qwen2MoeForCausalLM", "Qwen2MoeConfig", "Qwen2MoeModel", fields)


def qwen3_moe(**changes: Any) -> Case:
    return Case("Qwen3MoeForCausalLM", "Qwen3MoeConfig", "Qwen3MoeModel", EXPERTS | {"head_dim": 16} | changes)


def deepseek_v2(**changes: Any) -> Case:
    fields = LATENT | {"topk_method": "group_limited_greedy"} | changes
    return Case("DeepseekV2ForCausalLM", "DeepseekV2Config", "DeepseekV2Model", fields)


def deepseek_v3(**changes: Any) -> Case:
    return Case("DeepseekV3ForCausalLM", "DeepseekV3Config", "DeepseekV3Model", LATENT | changes)


def mamba(**changes: Any) -> Case:
    return Case("MambaForCausalLM", "MambaConfig", "MambaModel", MAMBA | {"time_step_rank": 4} | changes)


def mamba2(**changes: Any) -> Case:
    fields = MAMBA | {"num_heads": 8, "head_dim": 8, "n_groups": 2, "chunk_size": 4} | changes
    return Case("Mamba2ForCausalLM", "Mamba2Config", "Mamba2Model", fields)


def jamba(**changes: Any) -> Case:
    fields = DECODER | JAMBA | changes
    return Case("JambaForCausalLM", "JambaConfig", "JambaModel", fields)


def xlnet(**changes: Any) -> Case:
    sizes = {"d_model": 32, "n_layer": 2, "n_head": 4, "d_inner": 48, "pad_token_id": 5}
    return Case("XLNetLMHeadModel", "XLNetConfig", "XLNetModel", sizes | changes, role="other", more=two_targets)


def rwkv(**changes: Any) -> Case:
    fields = {"hidden_size": 32, "num_hidden_layers": 3, "context_length": 64} | changes
    return Case("RwkvForCausalLM", "RwkvConfig", "RwkvModel", fields)


def minimax(**changes: Any) -> Case:
    fields = DECODER | {"head_dim": 16, "num_local_experts": 4, "block_size": 4} | changes
    return Case("MiniMaxForCausalLM", "MiniMaxConfig", "MiniMaxModel", fields)


def switch(**changes: Any) -> Case:
    sizes = {"d_model": 32, "d_kv": 12, "d_ff": 48, "num_layers": 2, "num_decoder_layers": 4, "num_heads": 4,
             "num_sparse_encoder_layers": 1, "num_sparse_decoder_layers": 2, "num_experts": 2, "expert_capacity": 4,
             "relative_attention_num_buckets": 8, "relative_attention_max_distance": 10}  # fmt: skip
    kind = "SwitchTransformers"
    return Case(f"{kind}ForConditionalGeneration", f"{kind}Config", f"{kind}Model", sizes | changes, role="pair")


def gpt2(**changes: Any) -> Case:
    return Case("GPT2LMHeadModel", "GPT2Config", "GPT2Model", GPT2 | changes)


def encoder(kind: str, more: Any = nothing, **changes: Any) -> Case:
    fields = ENCODER | changes
    return Case(f"{kind}ForMaskedLM", f"{kind}Config", f"{kind}Model", fields, role="encoder", more=more)


def bert(**changes: Any) -> Case:
    return encoder("Bert", **changes)


def roberta(**changes: Any) -> Case:
    return encoder("Roberta", type_vocab_size=1, **changes)


def bloom(**changes: Any) -> Case:
    sizes = {"hidden_size": 36, "n_layer": 2, "n_head": 6}
    return Case("BloomForCausalLM", "BloomConfig", "BloomModel", sizes | changes)


def glm(kind: str = "Glm", **changes: Any) -> Case:
    sizes = DECODER | {"head_dim": 16, "pad_token_id": 0}
    return Case(f"{kind}ForCausalLM", f"{kind}Config", f"{kind}Model", sizes | changes)


def mpt(**changes: Any) -> Case:
    sizes = {"d_model": 36, "n_heads": 6, "n_layers": 2, "max_seq_len": 64}
    return Case("MptForCausalLM", "MptConfig", "MptModel", sizes | changes)


def t5(**changes: Any) -> Case:
    sizes = {"d_model": 32, "d_kv": 12, "d_ff": 48, "num_layers": 2, "num_decoder_layers": 3, "num_heads": 4,
             "relative_attention_num_buckets": 8, "relative_attention_max_distance": 10}  # fmt: skip
    return Case("T5ForConditionalGeneration", "T5Config", "T5Model", sizes | changes, role="pair")


def bart(kind: str = "Bart", model: str = "BartForConditionalGeneration", **changes: Any) -> Case:
    sizes = {"d_model": 32, "encoder_layers": 2, "decoder_layers": 3, "encoder_attention_heads": 4,
             "decoder_attention_heads": 2, "encoder_ffn_dim": 48, "decoder_ffn_dim": 40, "pad_token_id": 1,
             "max_position_embeddings": 64}  # fmt: skip
    return Case(model, f"{kind}Config", f"{kind}Model", sizes | changes, role="pair")


def falcon(attention: str = "eager", **changes: Any) -> Case:
    sizes = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4}
    return Case("FalconForCausalLM", "FalconConfig", "FalconModel", sizes | changes, attention)


CASES = {
    "llama": llama(),
    "llama3 scaling": llama(rope_parameters=LLAMA3),
    "llama linear scaling, biases": llama(rope_parameters=LINEAR, attention_bias=True, mlp_bias=True),
    "llama yarn, tied": llama(rope_parameters=YARN, tie_word_embeddings=True, head_dim=16),
    "mistral": mistral(sliding_window=5),
    "mistral without window": mistral(sliding_window=None),
    "qwen2": qwen2(**WINDOWS),
    "qwen2 full": qwen2(tie_word_embeddings=True),
    "qwen3": qwen3(),
    "qwen3 with biases and windows": qwen3(attention_bias=True, **WINDOWS),
    "gemma": gemma("Gemma"),
    "gemma with biases": gemma("Gemma", attention_bias=True, hidden_act="gelu", num_key_value_heads=1),
    "gemma2": gemma("Gemma2", sliding_window=5, query_pre_attn_scalar=9, attn_logit_softcapping=0.7),
    "gemma2 uncapped": gemma(
        "Gemma2",
        final_logit_softcapping=None,
        attn_logit_softcapping=None,
        query_pre_attn_scalar=16,
        layer_types=["full_attention", "sliding_attention", "sliding_attention"],
        sliding_window=4,
    ),
    "gemma3_text": gemma(
        "Gemma3Text",
        "Gemma3",
        sliding_window=5,
        query_pre_attn_scalar=16,
        layer_types=["sliding_attention", "full_attention", "sliding_attention"],
        rope_parameters={"sliding_attention": {"rope_type": "default", "rope_theta": 100.0}, "full_attention": LINEAR},
    ),
    "gemma3_text all local, capped": gemma("Gemma3Text", "Gemma3", sliding_window=5, final_logit_softcapping=2.0),
    "olmo2": Case("Olmo2ForCausalLM", "Olmo2Config", "Olmo2Model", DECODER | {"attention_bias": True}),
    "phi3": phi3(sliding_window=5),
    "phi3 longrope, part of each head": phi3(
        original_max_position_embeddings=4,
        rope_parameters={
            "rope_type": "longrope",
            "rope_theta": 10000.0,
            "partial_rotary_factor": 0.5,
            "short_factor": [1.0, 1.5],
            "long_factor": [2.0, 4.0],
        },
    ),
    "gpt_neox": gpt_neox(),
    "gpt_neox one after the other, tied": gpt_neox(
        use_parallel_residual=False,
        attention_bias=False,
        tie_word_embeddings=True,
        hidden_act="gelu_new",
        rope_parameters={"rope_type": "linear", "rope_theta": 5000.0, "factor": 2.0, "partial_rotary_factor": 1.0},
    ),
    "gpt_oss": gpt_oss(),
    "gpt_oss plain rotation": gpt_oss(
        rope_parameters={"rope_type": "default", "rope_theta": 5000.0}, attention_bias=False, tie_word_embeddings=True
    ),
    "mixtral": mixtral(),
    "mixtral with window, top 1": mixtral(sliding_window=5, num_experts_per_tok=1, head_dim=16),
    "qwen2_moe": qwen2_moe(),
    "qwen2_moe with windows, some layers dense": qwen2_moe(
        use_sliding_window=True, sliding_window=4, max_window_layers=2, decoder_sparse_step=2, norm_topk_prob=True
    ),
    "qwen3_moe": qwen3_moe(norm_topk_prob=True),
    "qwen3_moe, first layer dense": qwen3_moe(mlp_only_layers=[0], attention_bias=True),
    "deepseek_v2": deepseek_v2(routed_scaling_factor=4.0, rope_parameters=SECOND_GAIN),
    "deepseek_v2 lite": deepseek_v2(topk_method="greedy", q_lora_rank=None),
    "deepseek_v3": deepseek_v3(rope_parameters=SECOND_GAIN),
    "deepseek_v3 in halves": deepseek_v3(rope_interleave=False, norm_topk_prob=False, n_shared_experts=2),
    "minimax": minimax(
        full_attn_alpha_factor=1.5, linear_attn_beta_factor=0.5, mlp_alpha_factor=2, mlp_beta_factor=0.8
    ),
    "minimax with a window": minimax(
        sliding_window=5, layer_types=["linear_attention", "linear_attention", "full_attention"]
    ),
    "rwkv": rwkv(rescale_every=0),
    "rwkv rescaled, tied": rwkv(
        rescale_every=1,
        layer_norm_epsilon=1e-3,
        attention_hidden_size=32,
        intermediate_size=48,
        tie_word_embeddings=True,
    ),
    "xlnet": xlnet(),
    "xlnet clamped, untied": xlnet(clamp_len=3, tie_word_embeddings=False, ff_activation="relu"),
    "mamba": mamba(),
    "mamba with biases, untied": mamba(use_bias=True, use_conv_bias=False, tie_word_embeddings=False, expand=3),
    "mamba of another width": mamba(intermediate_size=40),
    "mamba2": mamba2(),
    "mamba2 with biases, limited": mamba2(
        use_bias=True, use_conv_bias=False, time_step_limit=(0.0, 0.5), tie_word_embeddings=True
    ),
    "jamba": jamba(),
    "jamba with biases, tied": jamba(mamba_proj_bias=True, mamba_conv_bias=False, tie_word_embeddings=True),
    "gpt2": gpt2(),
    "gpt2 scaled by layer": gpt2(n_inner=40, scale_attn_by_inverse_layer_idx=True, tie_word_embeddings=False),
    "gpt2 unscaled": gpt2(scale_attn_weights=False, activation_function="relu"),
    "bert": bert(),
    "bert untied": bert(tie_word_embeddings=False, hidden_act="gelu_new"),
    "roberta": roberta(),
    "xlm-roberta": encoder("XLMRoberta"),
    "xlm-roberta-xl": encoder("XLMRobertaXL"),
    "xlm-roberta-xl untied": encoder("XLMRobertaXL", tie_word_embeddings=False, layer_norm_eps=1e-3),
    "roformer": encoder("RoFormer", embedding_size=24),
    "roformer with rotated values": encoder("RoFormer", rotary_value=True, tie_word_embeddings=False),
    "longformer": encoder("Longformer", some_global, attention_window=[4, 8], type_vocab_size=1),
    "big_bird": encoder("BigBird", block_size=4, num_random_blocks=1),
    "big_bird whole, few biases": encoder(
        "BigBird", attention_type="original_full", use_bias=False, rescale_embeddings=True, tie_word_embeddings=False
    ),
    "bloom": bloom(),
    "bloom untied": bloom(tie_word_embeddings=False, layer_norm_epsilon=1e-3),
    "falcon 7b": falcon(),
    "falcon 40b": falcon(new_decoder_architecture=True, num_kv_heads=2, ffn_hidden_size=48),
    "falcon 11b": falcon(
        new_decoder_architecture=True, num_kv_heads=2, num_ln_in_parallel_attn=1, tie_word_embeddings=False
    ),
    # The eager path of transformers 5.23 adds the linear bias twice: in the mask and to the scores.
    "falcon rw": falcon("sdpa", multi_query=False, parallel_attn=False, alibi=True, bias=True),
    "falcon one branch after the other": falcon(parallel_attn=False, rope_parameters=LINEAR),
    "glm": glm(),
    "glm whole heads, tied": glm(
        rope_parameters={"rope_type": "default", "rope_theta": 5000.0, "partial_rotary_factor": 1.0},
        attention_bias=False,
        tie_word_embeddings=True,
        num_key_value_heads=4,
    ),
    "glm4": glm("Glm4"),
    "mpt": mpt(),
    "mpt scaled, untied": mpt(attn_config={"softmax_scale": 0.3}, tie_word_embeddings=False),
    "t5": t5(),
    "t5 gated": t5(feed_forward_proj="gated-silu"),
    "t5 flan": t5(feed_forward_proj="gated-gelu", tie_word_embeddings=False),
    "switch_transformers": switch(),
    "switch_transformers untied, all sparse": switch(
        num_sparse_encoder_layers=2, num_sparse_decoder_layers=4, router_bias=True, tie_word_embeddings=False
    ),
    "bart": bart(),
    "mbart": bart("MBart", "MBartForConditionalGeneration", scale_embedding=True),
    "marian": bart("Marian", "MarianMTModel", pad_token_id=0, scale_embedding=True, activation_function="swish"),
}
