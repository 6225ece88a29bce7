"""Specs of the zoo, made small, compute what transformers computes with the same weights, every weight redrawn, and go
on doing so after all passes."""

import zlib
from dataclasses import dataclass, field
from typing import Any

import pytest
import torch
import transformers

from compiler.ir.program import Program
from compiler.lower.program import lower
from compiler.pipeline import run as run_passes
from compiler.verify.interpreter import interpret
from compiler.verify.pack import pack
from tests.zoo import renaming as r
from tests.zoo import renaming_pairs as p
from tests.zoo.shrink import DROP, shrunk

V = 97
# Parameters whose initial value carries a meaning: moved a little instead of redrawn.
KEEP = ("A_log", "dt_bias", "dt_proj.bias", "time_decay", "time_first", "time_mix")


@dataclass(frozen=True)
class Case:
    kind: str  # transformers' class; its configuration is named alike
    fields: dict[str, Any]
    table: r.Table
    layers: list[Any]
    sizes: dict[str, Any]
    encoder: list[Any] | None = None  # layers of the encoder, where there are two stacks
    only_encoder: bool = False
    inputs: tuple[str, ...] = ("input_ids",)
    more: dict[str, Any] = field(default_factory=dict)
    attention: str = "eager"  # which of transformers' implementations


DENSE = {
    "vocab_size": V, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 3, "num_attention_heads": 4,
    "num_key_value_heads": 2, "max_position_embeddings": 64, "pad_token_id": 0,
}  # fmt: skip
SMALL = {"vocab_size": V, "max_length": 64, "d_model": 32, "n_heads": 4, "n_kv_heads": 2, "d_ff": 48}
THREE = [{"repeat": 3, "of": ["main"]}]
TWO = [{"repeat": 2, "of": ["main"]}]


def rope(theta: float, **more: Any) -> dict[str, Any]:
    return {"rope_parameters": {"rope_type": "default", "rope_theta": theta, **more}}


HEAD_8 = {"head_dim": 8, "attention_bias": True, "rms_norm_eps": 1e-5}
GLM_SIZES = {**SMALL, "d_head": 8, "dims": 4}
EXPERTS = {"n_experts": 4, "top_k": 2}
MLA = {
    "q_lora_rank": 12, "kv_lora_rank": 16, "qk_rope_head_dim": 4, "qk_nope_head_dim": 6, "v_head_dim": 10,
    "num_key_value_heads": 4, "n_routed_experts": 8, "n_shared_experts": 2, "num_experts_per_tok": 3, "n_group": 4,
    "moe_intermediate_size": 16, "topk_group": 2, "first_k_dense_replace": 1,
}  # fmt: skip
MLA_SIZES = {
    **SMALL, "q_rank": 12, "kv_rank": 16, "d_rope": 4, "d_nope": 6, "d_value": 10, "dims": 4, "n_experts": 8,
    "top_k": 3, "groups": {"count": 4, "keep": 2},
}  # fmt: skip
ONE_DENSE = ["dense", {"repeat": 2, "of": ["sparse"]}]
FALCON = {"vocab_size": V, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4}
FALCON_SIZES = {**SMALL, "d_ff": 128}
MAMBA = {"vocab_size": V, "hidden_size": 32, "num_hidden_layers": 2, "state_size": 8, "pad_token_id": 0}
T5 = {
    "vocab_size": V, "d_model": 32, "d_kv": 12, "d_ff": 48, "num_layers": 2, "num_heads": 4,
    "relative_attention_num_buckets": 8, "relative_attention_max_distance": 10, "decoder_start_token_id": 0,
}  # fmt: skip
T5_SIZES = {**SMALL, "d_head": 12, "buckets": 8, "max": 10}
BART = {
    "vocab_size": V, "d_model": 32, "encoder_layers": 2, "decoder_layers": 2, "encoder_attention_heads": 4,
    "decoder_attention_heads": 4, "encoder_ffn_dim": 48, "decoder_ffn_dim": 48, "max_position_embeddings": 64,
    "pad_token_id": 1, "decoder_start_token_id": 2,
}  # fmt: skip
BART_SIZES = {**SMALL, "size": 66}
BERT = {k: v for k, v in DENSE.items() if k != "num_key_value_heads"} | {"num_hidden_layers": 2}
PAIR = ("input_ids", "decoder_input_ids")

CASES = {
    "glm-4-9b": Case("GlmForCausalLM", {**DENSE, **HEAD_8, "rms_norm_eps": 1.5625e-7}, r.GLM, THREE, GLM_SIZES),
    "chatglm3-6b": Case("GlmForCausalLM", {**DENSE, **HEAD_8}, r.GLM, THREE, GLM_SIZES),
    "glm-4-9b-0414": Case("Glm4ForCausalLM", {**DENSE, **HEAD_8}, r.GLM, THREE, GLM_SIZES),
    "mixtral-8x7b": Case(
        "MixtralForCausalLM",
        {**DENSE, **rope(1e6), "num_local_experts": 4, "rms_norm_eps": 1e-5, "sliding_window": None},
        r.MOE, THREE, {**SMALL, **EXPERTS},
    ),
    "qwen1.5-moe-a2.7b": Case(
        "Qwen2MoeForCausalLM",
        {**DENSE, **rope(1e6), "num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 16,
         "shared_expert_intermediate_size": 24, "num_key_value_heads": 4},
        r.MOE, THREE, {**SMALL, **EXPERTS, "d_ff": {1408: 16, 5632: 24}},
    ),
    "qwen3-30b-a3b": Case(
        "Qwen3MoeForCausalLM",
        {**DENSE, **rope(1e6), "num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 16,
         "norm_topk_prob": True, "head_dim": 12},
        r.MOE, THREE, {**SMALL, **EXPERTS, "d_ff": 16, "d_head": 12},
    ),
    "deepseek-v2": Case(
        "DeepseekV2ForCausalLM",
        {**DENSE, **MLA, **rope(1e4), "topk_method": "group_limited_greedy", "routed_scaling_factor": 16.0},
        r.DEEPSEEK, ONE_DENSE, {**MLA_SIZES, "d_ff": {12288: 48, 1536: 16, 3072: 32}, "scaling": DROP,
                                "scale": {"=(0.0707*log(40)+1)**2/sqrt(d_nope+d_rope)": "=1/sqrt(d_nope+d_rope)"}},
    ),
    "deepseek-v2-lite": Case(
        "DeepseekV2ForCausalLM",
        {**DENSE, **MLA, **rope(1e4), "q_lora_rank": None, "topk_method": "greedy", "n_group": 1, "topk_group": 1},
        r.DEEPSEEK_LITE, ONE_DENSE,
        {**MLA_SIZES, "d_ff": {10944: 48, 1408: 16, 2816: 32}, "scaling": DROP, "scale": DROP},
    ),
    "deepseek-v3": Case(
        "DeepseekV3ForCausalLM",
        {**DENSE, **MLA, "norm_topk_prob": True, "routed_scaling_factor": 2.5,
         "rope_parameters": {"rope_type": "yarn", "rope_theta": 10000.0, "factor": 40.0, "beta_fast": 32.0,
                             "beta_slow": 1.0, "original_max_position_embeddings": 4096, "mscale": 1.0,
                             "mscale_all_dim": 1.0}},
        r.DEEPSEEK, ONE_DENSE, {**MLA_SIZES, "groups": {"count": 4, "keep": 2, "score": "top2_sum"},
                                "d_ff": {18432: 48, 2048: 16}},
        more={"n_shared_experts": 1},
    ),
    "bloom-560m": Case(
        "BloomForCausalLM", {"vocab_size": V, "hidden_size": 36, "n_layer": 2, "n_head": 6}, r.bloom_like(6, 1), TWO,
        {**SMALL, "d_model": 36, "n_heads": 6, "d_ff": 144},
    ),
    "falcon-7b": Case("FalconForCausalLM", FALCON, r.FALCON_ONE_KV, TWO, {**FALCON_SIZES, "n_kv_heads": 1}),
    "falcon-40b": Case(
        "FalconForCausalLM", {**FALCON, "new_decoder_architecture": True, "num_kv_heads": 2}, r.FALCON_TWO_NORMS, TWO,
        FALCON_SIZES,
    ),
    "falcon2-11b": Case(
        "FalconForCausalLM",
        {**FALCON, **rope(500042.0), "new_decoder_architecture": True, "num_kv_heads": 2, "num_ln_in_parallel_attn": 1,
         "tie_word_embeddings": False},
        r.bloom_like(2, 2), TWO, FALCON_SIZES,
    ),
    "falcon-rw-1b": Case(
        "FalconForCausalLM", {**FALCON, "multi_query": False, "parallel_attn": False, "alibi": True, "bias": True},
        r.bloom_like(4, 1), TWO, FALCON_SIZES,
        # The eager path of transformers 5.23 adds the linear bias twice: in the mask and to the scores.
        attention="sdpa",
    ),
    "mpt-7b": Case(
        "MptForCausalLM", {"vocab_size": V, "d_model": 36, "n_heads": 6, "n_layers": 2, "max_seq_len": 64}, r.MPT, TWO,
        {**SMALL, "d_model": 36, "n_heads": 6, "d_ff": 144},
    ),
    "mamba-130m": Case(
        "MambaForCausalLM", {**MAMBA, "time_step_rank": 4}, r.MAMBA, TWO,
        {**SMALL, "d_inner": 64, "d_state": 8, "dt_rank": 4},
    ),
    "falcon-mamba-7b": Case(
        "FalconMambaForCausalLM", {**MAMBA, "time_step_rank": 4, "tie_word_embeddings": False}, r.MAMBA, TWO,
        {**SMALL, "d_inner": 64, "d_state": 8, "dt_rank": 4},
    ),
    "mamba2-130m": Case(
        "Mamba2ForCausalLM",
        {**MAMBA, "num_heads": 8, "head_dim": 8, "n_groups": 1, "chunk_size": 4, "tie_word_embeddings": True},
        r.MAMBA, TWO, {**SMALL, "n_heads": 8, "d_head": 8, "d_state": 8},
    ),
    "mamba-codestral-7b": Case(
        "Mamba2ForCausalLM", {**MAMBA, "num_heads": 8, "head_dim": 8, "n_groups": 2, "chunk_size": 4}, r.MAMBA, TWO,
        {**SMALL, "n_heads": 8, "d_head": 8, "d_state": 8, "n_groups": 2},
    ),
    "jamba-v0.1": Case(
        "JambaForCausalLM",
        {**DENSE, "num_hidden_layers": 4, "attn_layer_period": 4, "attn_layer_offset": 2, "expert_layer_period": 2,
         "expert_layer_offset": 1, "num_experts": 4, "num_experts_per_tok": 2, "mamba_d_state": 8, "mamba_dt_rank": 4,
         "tie_word_embeddings": False},
        r.JAMBA, ["scan", "scan_moe", "attention", "scan_moe"],
        {**SMALL, **EXPERTS, "d_inner": 64, "d_state": 8, "dt_rank": 4},
    ),
    "rwkv-4-169m": Case(
        "RwkvForCausalLM", {"vocab_size": V, "hidden_size": 32, "num_hidden_layers": 3, "rescale_every": 0}, r.RWKV,
        THREE, {**SMALL, "d_ff": 128},
    ),
    "minimax-text-01": Case(
        "MiniMaxForCausalLM",
        {**DENSE, **rope(1e7), "head_dim": 8, "num_local_experts": 4, "block_size": 4, "rms_norm_eps": 1e-5,
         "layer_types": ["linear_attention", "full_attention", "linear_attention"],
         **{f"{kind}_alpha_factor": 3.5565588200778455 for kind in ("full_attn", "linear_attn", "mlp")}},
        r.MINIMAX, ["lightning", "full", "lightning"],
        {**SMALL, **EXPERTS, "d_head": 8, "d_key": 8, "dims": 8},
    ),
    "gemma-2-9b": Case(
        "Gemma2ForCausalLM", {**DENSE, "head_dim": 12, "query_pre_attn_scalar": 256, "sliding_window": 5}, r.SANDWICH,
        ["local", "global", "local"], {**SMALL, "d_head": 12, "behind": 5},
    ),
    "gemma-3-4b": Case(
        "Gemma3ForCausalLM",
        {**DENSE, "head_dim": 8, "query_pre_attn_scalar": 8, "sliding_window": 5,
         "layer_types": ["sliding_attention", "full_attention", "sliding_attention"],
         "rope_parameters": {"sliding_attention": {"rope_type": "default", "rope_theta": 10000.0},
                             "full_attention": {"rope_type": "linear", "rope_theta": 1e6, "factor": 8.0}}},
        r.SANDWICH, ["local", "global", "local"], {**SMALL, "d_head": 8, "behind": 5},
    ),
    "olmo-2-7b": Case(
        "Olmo2ForCausalLM", {**DENSE, **rope(5e5), "rms_norm_eps": 1e-6}, r.SANDWICH, THREE, {**SMALL, "n_kv_heads": 2},
        more={"num_key_value_heads": 4},
    ),
    "phi-3-mini-4k": Case(
        "Phi3ForCausalLM",
        {**DENSE, "num_key_value_heads": 4, "sliding_window": 5, "rms_norm_eps": 1e-5}, r.PHI3, THREE,
        {**SMALL, "behind": 5},
    ),
    "pythia-410m": Case(
        "GPTNeoXForCausalLM", {**BERT, **rope(1e4, partial_rotary_factor=0.25), "is_decoder": True}, r.NEOX, TWO, SMALL
    ),
    "t5-base": Case(
        "T5ForConditionalGeneration", T5, p.T5, TWO, T5_SIZES, encoder=TWO, inputs=PAIR
    ),
    "flan-t5-base": Case(
        "T5ForConditionalGeneration", {**T5, "feed_forward_proj": "gated-gelu", "tie_word_embeddings": False}, p.T5,
        TWO, T5_SIZES, encoder=TWO, inputs=PAIR,
    ),
    "flan-ul2": Case(
        "T5ForConditionalGeneration", {**T5, "feed_forward_proj": "gated-silu", "tie_word_embeddings": False}, p.T5,
        TWO, T5_SIZES, encoder=TWO, inputs=PAIR,
    ),
    "bart-base": Case(
        "BartForConditionalGeneration", BART, p.bart("sum_norm"), TWO, BART_SIZES, encoder=TWO, inputs=PAIR
    ),
    "mbart-large-cc25": Case(
        "MBartForConditionalGeneration", {**BART, "scale_embedding": True}, p.bart("pre_norm"), TWO, BART_SIZES,
        encoder=TWO, inputs=PAIR,
    ),
    "marian-en-de": Case(
        "MarianMTModel",
        {**BART, "decoder_vocab_size": V, "pad_token_id": 0, "activation_function": "swish", "scale_embedding": True},
        p.bart("sum_norm"), TWO, BART_SIZES, encoder=TWO, inputs=PAIR,
    ),
    "bert-large": Case(
        "BertForMaskedLM", BERT, p.bert("bert", "cls.predictions", "cls.predictions.transform"), TWO,
        {**SMALL, "size": {512: 64}, "width": 32}, only_encoder=True,
    ),
    "xlm-roberta-large": Case(
        "XLMRobertaForMaskedLM", {**BERT, "type_vocab_size": 1, "pad_token_id": 1, "layer_norm_eps": 1e-5},
        p.bert("roberta", "lm_head", "lm_head"), TWO, {**SMALL, "size": {514: 64}, "width": 32}, only_encoder=True,
    ),
    "xlm-roberta-xl": Case(
        "XLMRobertaXLForMaskedLM", {**BERT, "type_vocab_size": 1, "pad_token_id": 1},
        p.bert("roberta", "lm_head", "lm_head"), TWO, {**SMALL, "size": {514: 64}, "width": 32}, only_encoder=True,
    ),
    "roformer-base": Case(
        "RoFormerForMaskedLM", BERT, p.bert("roformer", "cls.predictions", "cls.predictions.transform"), TWO,
        {**SMALL, "width": 32}, only_encoder=True,
    ),
    "bigbird-roberta-base": Case(
        "BigBirdForMaskedLM", {**BERT, "attention_type": "original_full", "use_bias": True, "hidden_act": "gelu_new"},
        p.bert("bert", "cls.predictions", "cls.predictions.transform"), TWO,
        {**SMALL, "size": {4096: 64}, "width": 32}, only_encoder=True,
    ),
}  # fmt: skip


def drawn(name: str, like: torch.Tensor) -> torch.Tensor:
    generator = torch.Generator().manual_seed(zlib.crc32(name.encode()))
    return torch.randn(like.shape, generator=generator)


@torch.no_grad()
def model_of(case: Case) -> torch.nn.Module:
    """The reference in float32, every parameter redrawn so that gains, biases and gates matter."""
    kind = getattr(transformers, case.kind)
    model = kind(kind.config_class(**{**case.fields, **case.more}, attn_implementation=case.attention)).eval()
    head = model.get_output_embeddings()
    if case.fields.get("tie_word_embeddings") is False and head.weight is model.get_input_embeddings().weight:
        head.weight = torch.nn.Parameter(torch.empty_like(head.weight))  # T5's class ties whatever it is told
    tables = {id(m.weight) for m in model.modules() if isinstance(m, torch.nn.Embedding)}
    for name, value in model.named_parameters():
        if not value.requires_grad:  # sinusoids kept as a table
            continue
        noise = drawn(name, value)
        if value.dim() < 2 or any(word in name for word in KEEP):
            value.add_(0.1 * noise)
        else:
            value.copy_(0.7 * noise if id(value) in tables else noise / value.shape[-1] ** 0.5)
    for name, value in model.named_buffers():
        if name.endswith(("e_score_correction_bias", "final_logits_bias")):
            value.copy_(0.1 * drawn(name, value))
    return model


def small(case: Case, name: str) -> Program:
    stack = "encoder" if case.only_encoder else "decoder"
    layers = {stack: case.layers} | ({"encoder": case.encoder} if case.encoder else {})
    return lower(shrunk(name, layers, case.sizes))


def ids(case: Case) -> dict[str, torch.Tensor]:
    return {
        key: torch.randint(5, V, (2, 17 - 4 * i), generator=torch.Generator().manual_seed(i))
        for i, key in enumerate(case.inputs)
    }


@pytest.mark.parametrize("name", CASES)
def test_means_what_transformers_computes(name: str) -> None:
    torch.set_num_threads(1)
    case = CASES[name]
    model = model_of(case)
    with torch.no_grad():
        expected = model(**ids(case)).logits
    program = small(case, name)
    weights = r.renamed(program.parameter_paths(), dict(model.state_dict()), case.table)
    shapes = {path: tuple(param.shape) for path, param in program.parameter_paths().items()}
    assert {path: tuple(weight.shape) for path, weight in weights.items()} == shapes
    found = next(iter(interpret(program, weights, ids(case)).values()))
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("name", CASES)
def test_passes_change_nothing(name: str) -> None:
    torch.set_num_threads(1)
    case = CASES[name]
    before = small(case, name)
    after, _ = run_passes(before)
    weights = {
        path: drawn(path, torch.empty(param.shape)).double() * 0.3 + (len(param.shape) == 1)
        for path, param in before.parameter_paths().items()
    }
    expected = next(iter(interpret(before, weights, ids(case)).values()))
    found = next(iter(interpret(after, pack(after, weights), ids(case)).values()))
    torch.testing.assert_close(found, expected, atol=1e-9, rtol=1e-9)
