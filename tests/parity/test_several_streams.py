"""A query former's joined inputs, text that looks at images, Longformer's own projections: against
transformers, weights copied."""

from typing import Any

import torch
from torch import Tensor
from transformers import (
    InstructBlipQFormerConfig,
    InstructBlipQFormerModel,
    LongformerConfig,
    LongformerForMaskedLM,
    MllamaForCausalLM,
)
from transformers.models.mllama.configuration_mllama import MllamaTextConfig

from archspec.spec import Resolved
from compiler.lower.program import lower
from compiler.verify.interpreter import interpret
from tests.parity.models import VOCAB, ids, redraw
from tests.zoo import renaming as r
from tests.zoo import renaming_pairs as p
from tests.zoo.shrink import DROP, shrunk

torch.set_num_threads(1)
SMALL: dict[str, Any] = {"vocab_size": VOCAB, "max_length": 64, "d_model": 32, "d_head": 8, "n_heads": 4, "d_ff": 48}


def found(spec: Resolved, model: torch.nn.Module, table: r.Table, inputs: dict[str, Tensor]) -> Tensor:
    """What the spec means with the model's weights, which must all fit."""
    program = lower(spec)
    paths = program.parameter_paths()
    weights = r.renamed(paths, model.state_dict(), table)
    assert {k: tuple(v.shape) for k, v in weights.items()} == {k: param.shape for k, param in paths.items()}
    return next(iter(interpret(program, weights, inputs).values()))


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


@torch.no_grad()
def test_query_former_beside_text() -> None:
    config: Any = {
        "vocab_size": VOCAB, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4,
        "intermediate_size": 48, "encoder_hidden_size": 20, "cross_attention_frequency": 2,
        "max_position_embeddings": 64,
    }  # fmt: skip
    model = redraw(InstructBlipQFormerModel(InstructBlipQFormerConfig(**config)))
    queries, image = (torch.randn(shape, generator=torch.Generator().manual_seed(1)) for shape in ((6, 32), (2, 9, 20)))
    mask = torch.ones(2, 8, dtype=torch.long)
    mask[1, -3:] = 0
    tokens = ids(2, 8)
    expected = model(
        input_ids=tokens, query_embeds=queries.expand(2, -1, -1), encoder_hidden_states=image,
        attention_mask=torch.cat([torch.ones(2, 6, dtype=torch.long), mask], 1),
    ).last_hidden_state  # fmt: skip
    sizes = {**SMALL, "d_model": {1408: 20, 768: 32}, "width": {1408: 20}, "count": 6, "size": {512: 64}}
    spec = shrunk("instructblip-qformer", {"queries": ["look", "plain"]}, sizes)
    table = {r"queries\.queries\.latents\.weight": lambda stored, match: queries, **QFORMER}
    inputs = {"input_ids": tokens, "attention_mask": mask, "encoder_hidden_states": image}
    real = torch.cat([torch.ones(2, 6, dtype=torch.long), mask], 1).bool()
    torch.testing.assert_close(found(spec, model, table, inputs)[real], expected[real], atol=1e-4, rtol=1e-4)


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
def test_text_rows_that_see_no_image() -> None:
    config: Any = {
        "vocab_size": VOCAB - 8, "hidden_size": 32, "num_hidden_layers": 3, "cross_attention_layers": [1],
        "num_attention_heads": 4, "num_key_value_heads": 2, "intermediate_size": 48, "pad_token_id": 0,
        "rope_parameters": {"rope_type": "default", "rope_theta": 5e5},
    }  # fmt: skip
    model = redraw(MllamaForCausalLM(MllamaTextConfig(**config)))
    image = torch.randn(2, 7, 32, generator=torch.Generator().manual_seed(1))
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
    spec = shrunk("llama-3.2-11b-vision-text", {"decoder": ["plain", "look", "plain"]}, sizes)
    inputs = {"input_ids": tokens, "cross_attention_states": image, "cross_attention_mask": visible}
    torch.testing.assert_close(found(spec, model, MLLAMA, inputs), expected, atol=1e-4, rtol=1e-4)


L = r"longformer.encoder.layer.\1.attention.self."
LONGFORMER: r.Table = {
    **{
        rf"encoder\.(\d+)\.attention\.own\.{role}\.(weight|bias)": f"{L}{word}_global.\\2"
        for role, word in WORDS.items()
    },
    **p.bert("longformer", "lm_head", "lm_head"),
}


@torch.no_grad()
def test_longformer_rows_with_projections_of_their_own() -> None:
    config: Any = {
        "vocab_size": VOCAB, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4,
        "intermediate_size": 48, "max_position_embeddings": 66, "attention_window": 4, "pad_token_id": 1,
        "type_vocab_size": 1,
        "layer_norm_eps": 1e-5,
    }  # fmt: skip
    model = redraw(LongformerForMaskedLM(LongformerConfig(**config)))
    tokens, mask, marked = ids(2, 32), torch.ones(2, 32, dtype=torch.long), torch.zeros(2, 32, dtype=torch.long)
    mask[1, -5:] = 0
    tokens[1, -5:] = 1
    marked[:, 0] = marked[:, 7] = 1
    inputs = {"input_ids": tokens, "attention_mask": mask, "global_attention_mask": marked}
    sizes = {**SMALL, "size": {4098: 66}, "width": 32, "behind": 3, "ahead": 2}
    spec = shrunk("longformer-base-4096", {"encoder": [{"repeat": 2, "of": ["main"]}]}, sizes)
    gap = (found(spec, model, LONGFORMER, inputs) - model(**inputs).logits).abs()
    assert float(gap[mask.bool()].max()) < 1e-4
