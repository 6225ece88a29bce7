"""Queries that look at an image, alone and beside text, and text whose layers look at one: against transformers with
copied weights, in both targets, in steps."""

from pathlib import Path
from typing import Any

import torch
from transformers import (
    Blip2QFormerConfig,
    Blip2QFormerModel,
    InstructBlipQFormerConfig,
    InstructBlipQFormerModel,
    MllamaForCausalLM,
)
from transformers.models.mllama.configuration_mllama import MllamaTextConfig

from compiler.lower.program import lower
from tests.parity.cross import drawn, everywhere, fitted
from tests.parity.models import VOCAB, ids, redraw
from tests.zoo import renaming as r
from tests.zoo.shrink import DROP, shrunk

torch.set_num_threads(1)
SMALL: dict[str, Any] = {"vocab_size": VOCAB, "max_length": 64, "d_model": 32, "d_head": 8, "n_heads": 4, "d_ff": 48}

Q = r"encoder.layer.\1."
WORDS = {"q": "query", "k": "key", "v": "value"}
QFORMER: r.Table = {
    r"/?entrance\.(weight|bias)": r"embeddings.layernorm.\1",
    r"queries\.text\.tokens\.weight": "embeddings.word_embeddings.weight",
    r"queries\.text\.learned\.weight": "embeddings.position_embeddings.weight",
    **{
        rf"queries\.(\d+)\.{ours}\.{role}\.(weight|bias)": f"{Q}{theirs}.attention.{word}.\\2"
        for ours, theirs in (("attention", "attention"), ("attention_2", "crossattention"))
        for role, word in WORDS.items()
    },
    **{
        rf"queries\.(\d+)\.{ours}\.{role}\.(weight|bias)": f"{Q}{theirs}.output.{word}.\\2"
        for ours, theirs in (("attention", "attention"), ("attention_2", "crossattention"))
        for role, word in (("o", "dense"), ("sum_norm", "LayerNorm"))
    },
    **{
        rf"queries\.(\d+)\.{ours}\.{role}\.(weight|bias)": f"{Q}{theirs}.\\2"
        for ours, end in (("query_ffn", "_query"), ("text_ffn", ""))
        for role, theirs in (
            ("up", f"intermediate{end}.dense"), ("down", f"output{end}.dense"), ("sum_norm", f"output{end}.LayerNorm")
        )
    },
}  # fmt: skip


CONFIG: dict[str, Any] = {
    "vocab_size": VOCAB, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 48,
    "encoder_hidden_size": 20, "cross_attention_frequency": 2, "max_position_embeddings": 64,
}  # fmt: skip
QUERY_SIZES = {**SMALL, "d_model": {1408: 20, 768: 32}, "width": {1408: 20}, "count": 6, "size": {512: 64}}
ALONE: r.Table = {
    r"queries\.queries\.then\.0\.(weight|bias)": r"layernorm.\1",
    **{pattern.replace("query_ffn", "mlp"): target for pattern, target in QFORMER.items() if "text" not in pattern},
}


@torch.no_grad()
def test_query_former(tmp_path: Path) -> None:
    """Learned queries alone: they are given to the published model, its own or not."""
    model = redraw(Blip2QFormerModel(Blip2QFormerConfig(**CONFIG)))
    queries, image, mask = drawn(1, 6, 32), drawn(2, 2, 9, 20), torch.ones(2, 9, dtype=torch.long)
    mask[1, -4:] = 0
    expected = model(
        query_embeds=queries.expand(2, -1, -1), encoder_hidden_states=image, encoder_attention_mask=mask
    ).last_hidden_state
    program = lower(shrunk("blip2-qformer", {"queries": ["look", "plain"]}, QUERY_SIZES))
    table = {r"queries\.queries\.latents\.weight": lambda stored, match: queries, **ALONE}
    inputs = {"encoder_hidden_states": image, "encoder_hidden_states_mask": mask}
    everywhere(program, fitted(program, model.state_dict(), table), inputs, expected, tmp_path, steps=False)


@torch.no_grad()
def test_query_former_beside_text(tmp_path: Path) -> None:
    model = redraw(InstructBlipQFormerModel(InstructBlipQFormerConfig(**CONFIG)))
    queries, image = drawn(1, 6, 32), drawn(2, 2, 9, 20)
    mask = torch.ones(2, 8, dtype=torch.long)
    mask[1, -3:] = 0
    tokens = ids(2, 8)
    expected = model(
        input_ids=tokens, query_embeds=queries.expand(2, -1, -1), encoder_hidden_states=image,
        attention_mask=torch.cat([torch.ones(2, 6, dtype=torch.long), mask], 1),
    ).last_hidden_state  # fmt: skip
    program = lower(shrunk("instructblip-qformer", {"queries": ["look", "plain"]}, QUERY_SIZES))
    table = {r"queries\.queries\.latents\.weight": lambda stored, match: queries, **QFORMER}
    inputs = {"input_ids": tokens, "attention_mask": mask, "encoder_hidden_states": image}
    real = torch.cat([torch.ones(2, 6, dtype=torch.long), mask], 1).bool()
    weights = fitted(program, model.state_dict(), table)
    everywhere(program, weights, inputs, expected, tmp_path, steps=False, valid=real)


M = r"model.layers.\1."
MLLAMA: r.Table = {
    r"decoder\.text\.tokens\.weight": "model.embed_tokens.weight",
    r"decoder\.final_norm\.weight": "model.norm.weight",
    r"head\.logits\.weight": "lm_head.weight",
    r"decoder\.(1)\.attention\.([qkvo])\.weight": M + r"cross_attn.\2_proj.weight",
    r"decoder\.(1)\.attention\.([qk])_norm\.weight": M + r"cross_attn.\2_norm.weight",
    r"decoder\.(1)\.attention\.branch_gate\.weight": M + "cross_attn_attn_gate",
    r"decoder\.(1)\.gated_mlp\.branch_gate\.weight": M + "cross_attn_mlp_gate",
    r"decoder\.(\d+)\.attention\.([qkvo])\.weight": M + r"self_attn.\2_proj.weight",
    r"decoder\.(\d+)\.attention\.pre_norm\.weight": M + "input_layernorm.weight",
    r"decoder\.(\d+)\.gated_mlp\.pre_norm\.weight": M + "post_attention_layernorm.weight",
    r"decoder\.(\d+)\.gated_mlp\.(gate|up|down)\.weight": M + r"mlp.\2_proj.weight",
}


@torch.no_grad()
def test_text_rows_that_see_no_image(tmp_path: Path) -> None:
    config: Any = {
        "vocab_size": VOCAB - 8, "hidden_size": 32, "num_hidden_layers": 3, "cross_attention_layers": [1],
        "num_attention_heads": 4, "num_key_value_heads": 2, "intermediate_size": 48, "pad_token_id": 0,
        "rope_parameters": {"rope_type": "default", "rope_theta": 5e5},
    }  # fmt: skip
    model = redraw(MllamaForCausalLM(MllamaTextConfig(**config)))
    image = drawn(1, 2, 7, 32)
    tokens = ids(2, 11).clamp(max=VOCAB - 9)
    visible = torch.zeros(2, 11, 7)
    visible[0, 3:, :4] = visible[1, 5:] = 1
    sees = visible.any(-1).float()[:, None, :, None]
    hidden = (1 - visible)[:, None] * torch.finfo(torch.float32).min * sees
    expected = model(
        input_ids=tokens, cross_attention_states=image, cross_attention_mask=hidden,
        full_text_row_masked_out_mask=sees, use_cache=False,
    ).logits  # fmt: skip
    sizes = {**SMALL, "width": 32, "n_kv_heads": 2, "vocab_size": VOCAB - 8, "size": VOCAB, "scaling": DROP}
    program = lower(shrunk("llama-3.2-11b-vision-text", {"decoder": ["plain", "look", "plain"]}, sizes))
    inputs = {"input_ids": tokens, "cross_attention_states": image, "cross_attention_mask": visible}
    everywhere(program, fitted(program, model.state_dict(), MLLAMA), inputs, expected, tmp_path, steps=True)
