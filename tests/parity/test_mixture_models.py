"""Whole models with mixtures of experts against transformers, weights copied: in every form, with padding, in steps."""

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from transformers import DeepseekV2Config, DeepseekV2ForCausalLM
from transformers.models.deepseek_ocr2.configuration_deepseek_ocr2 import DeepseekOcr2TextConfig
from transformers.models.deepseek_ocr2.modeling_deepseek_ocr2 import DeepseekOcr2TextModel

from compiler.lower.program import lower
from tests.parity.counting import counts, operations
from tests.parity.models import VOCAB, ids, redraw
from tests.parity.targets import everywhere, meaning
from tests.zoo import renaming as r
from tests.zoo.shrink import DROP, shrunk
from tests.zoo.test_meaning import CASES, model_of

torch.set_num_threads(1)
SIZES: dict[str, Any] = {
    "vocab_size": VOCAB, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 3, "num_attention_heads": 4,
    "num_key_value_heads": 4, "max_position_embeddings": 64, "pad_token_id": 0, "n_routed_experts": 8,
    "n_shared_experts": 2, "num_experts_per_tok": 3, "moe_intermediate_size": 16,
}  # fmt: skip
SMALL: dict[str, Any] = {
    "vocab_size": VOCAB, "max_length": 64, "d_model": 32, "n_heads": 4, "n_experts": 8, "top_k": 3,
}  # fmt: skip
ONE_DENSE = ["dense", {"repeat": 2, "of": ["sparse"]}]


def padded(rows: int = 2, length: int = 17) -> dict[str, Tensor]:
    """Ids, and a mask that hides the first five of the first row."""
    mask = torch.ones(rows, length, dtype=torch.long)
    mask[0, :5] = 0
    return {"input_ids": ids(rows, length), "attention_mask": mask}


@pytest.mark.parametrize("scale", [1.0, 2.0])
@torch.no_grad()
def test_deepseek_moe(scale: float, tmp_path: Path) -> None:
    """The text stack of DeepSeek-OCR 2 is DeepSeekMoE's: plain attention, shared experts, first layer dense."""
    config = DeepseekOcr2TextConfig(
        **SIZES, mlp_layer_types=["dense", "sparse", "sparse"], topk_method="greedy", routed_scaling_factor=scale
    )
    model: Any = redraw(DeepseekOcr2TextModel(config))
    sizes = {**SMALL, "d_ff": {10944: 48, 1408: 16, 2816: 32}, "head": DROP, "router": {"top_k": 3, "scale": scale}}
    spec = shrunk("deepseek-moe-16b", {"decoder": ONE_DENSE}, sizes)
    program = lower(spec)
    stored = {f"model.{name}": x for name, x in model.state_dict().items()}
    weights = r.renamed(program.parameter_paths(), stored, r.DEEPSEEK)
    inputs = padded()
    expected = model(**inputs, use_cache=False).last_hidden_state
    everywhere(program, weights, inputs, expected, tmp_path, valid=inputs["attention_mask"].bool())
    counts(spec, model, lambda: model(ids(1, 1), use_cache=False).last_hidden_state)
    operations(spec, model, input_ids=ids(2, 48))


def yarn(dims: int, theta: float, factor: float, length: int, fast: float = 32, slow: float = 1) -> list[float]:
    """Frequencies of YaRN (arXiv 2309.00071, section 3.2) as DeepSeek-V2 computes them, written out."""

    def place(turns: float) -> float:
        return dims * math.log(length / (turns * 2 * math.pi)) / (2 * math.log(theta))

    low, high = max(math.floor(place(fast)), 0), min(math.ceil(place(slow)), dims - 1)
    found = []
    for i in range(dims // 2):
        plain = theta ** (-2 * i / dims)
        stretched = min(max((i - low) / (high - low), 0), 1)
        found.append(plain * (1 - stretched) + plain / factor * stretched)
    return found


PUBLISHED = {"factor": 40.0, "original_max_position_embeddings": 4096, "mscale": 0.707, "mscale_all_dim": 0.707}
OTHER = {"factor": 4.0, "original_max_position_embeddings": 16, "mscale": 1.0, "mscale_all_dim": 0.8}
LATENT: dict[str, Any] = {"kv_lora_rank": 16, "qk_rope_head_dim": 8, "qk_nope_head_dim": 6, "v_head_dim": 10}
MODELS: dict[str, tuple[dict[str, Any], dict[Any, int], r.Table]] = {
    "deepseek-v2": (
        {"q_lora_rank": 12, "topk_method": "group_limited_greedy", "n_group": 4, "topk_group": 2,
         "routed_scaling_factor": 16.0},
        {12288: 48, 1536: 16, 3072: 32}, r.DEEPSEEK,
    ),
    "deepseek-v2-lite": ({"q_lora_rank": None, "topk_method": "greedy"}, {10944: 48, 1408: 16, 2816: 32},
                         r.DEEPSEEK_LITE),
}  # fmt: skip


@pytest.mark.parametrize("numbers", [PUBLISHED, OTHER], ids=["published", "other"])
@pytest.mark.parametrize("name", MODELS)
@torch.no_grad()
def test_deepseek_v2_with_yarn(name: str, numbers: dict[str, Any], tmp_path: Path) -> None:
    """The rotation's gain is the ratio of two factors; the score scale carries the second one squared."""
    fields, widths, table = MODELS[name]
    rope = {"rope_type": "yarn", "rope_theta": 1e4, "beta_fast": 32.0, "beta_slow": 1.0, **numbers}
    config = DeepseekV2Config(**SIZES, **LATENT, **fields, rope_parameters=rope, first_k_dense_replace=1)
    model: Any = redraw(DeepseekV2ForCausalLM(config))
    factor, length = numbers["factor"], numbers["original_max_position_embeddings"]
    top, whole = (0.1 * numbers[key] * math.log(factor) + 1 for key in ("mscale", "mscale_all_dim"))
    expected_rope = torch.tensor(yarn(8, 1e4, factor, length))
    torch.testing.assert_close(model.model.rotary_emb.inv_freq, expected_rope, atol=1e-7, rtol=1e-6)
    assert model.model.rotary_emb.attention_scaling == pytest.approx(top / whole)
    assert model.model.layers[0].self_attn.scaling == pytest.approx(whole**2 / math.sqrt(14))
    sizes = {
        **SMALL, "d_ff": widths, "q_rank": 12, "kv_rank": 16, "d_rope": 8, "d_nope": 6, "d_value": 10, "dims": 8,
        "groups": {"count": 4, "keep": 2},
    }  # fmt: skip
    if numbers is OTHER:  # the published ones stand in the zoo
        sizes |= {"factor": factor, "original_length": length, "gain": top / whole, "scale": {
            "=(0.0707*log(40)+1)**2/sqrt(d_nope+d_rope)": whole**2 / math.sqrt(14)
        }}  # fmt: skip
    spec = shrunk(name, {"decoder": ONE_DENSE}, sizes)
    program = lower(spec)
    weights = r.renamed(program.parameter_paths(), model.state_dict(), table)
    inputs = padded()
    expected = model(**inputs, use_cache=False).logits
    everywhere(program, weights, inputs, expected, tmp_path, valid=inputs["attention_mask"].bool())
    counts(spec, model, lambda: model(ids(1, 1), use_cache=False).logits)
    operations(spec, model, input_ids=ids(2, 48))
    unscaled = lower(shrunk(name, {"decoder": ONE_DENSE}, {**sizes, "scaling": DROP}))
    assert float((meaning(unscaled, weights, inputs) - expected)[inputs["attention_mask"].bool()].abs().max()) > 1e-2


@pytest.mark.parametrize("name", ["mixtral-8x7b", "qwen1.5-moe-a2.7b", "qwen3-30b-a3b", "deepseek-v3"])
@torch.no_grad()
def test_other_mixtures(name: str, tmp_path: Path) -> None:
    case, inputs = CASES[name], padded()
    model, spec = model_of(case), shrunk(name, {"decoder": case.layers}, case.sizes)
    program = lower(spec)
    weights = r.renamed(program.parameter_paths(), dict(model.state_dict()), case.table)
    expected = model(**inputs, use_cache=False).logits
    everywhere(program, weights, inputs, expected, tmp_path, valid=inputs["attention_mask"].bool())
    counts(spec, model, lambda: model(ids(1, 1), use_cache=False).logits)
    operations(spec, model, input_ids=ids(2, 48))
