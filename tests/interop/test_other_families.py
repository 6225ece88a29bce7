"""Families whose models read more than words, or that transformers 5.23 does not compute as they are meant."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import MethodType
from typing import Any

import pytest
import torch
import transformers
from torch import Tensor, nn
from transformers.models.deepseek_ocr2.configuration_deepseek_ocr2 import DeepseekOcr2TextConfig
from transformers.models.deepseek_ocr2.modeling_deepseek_ocr2 import DeepseekOcr2TextModel
from transformers.models.mllama.configuration_mllama import MllamaTextConfig
from transformers.models.nllb_moe.modeling_nllb_moe import NllbMoeSparseMLP

from archspec.errors import InputError
from archspec.interop.huggingface import export_config
from archspec.interop.source import open_source
from archspec.spec import load_spec, resolve
from archspec.spec.canonical import canonical
from compiler.lower.program import lower
from compiler.verify.interpreter import interpret
from compiler.weights import load, open_weights
from tests.emit_torch.packages import model_of
from tests.interop.tiny import DECODER, ENCODER, redraw
from tests.parity.test_nllb import dense

torch.set_num_threads(1)
Inputs = dict[str, Tensor]


def normal(*shape: int, seed: int = 1) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def ids(*shape: int, vocabulary: int = 97) -> Tensor:
    return torch.randint(5, vocabulary, shape, generator=torch.Generator().manual_seed(0))


@dataclass(frozen=True)
class Case:
    """given: what transformers reads. ours: what the spec reads, from the same. first: the rows from which on the two
    are the same. mend: changes the model before its weights are drawn."""

    model: Any
    config: Any
    given: Callable[[], Inputs]
    fields: dict[str, Any] = field(default_factory=dict)
    ours: Callable[[Inputs], Inputs] = lambda given: given
    dtype: torch.dtype = torch.float64
    first: int = 0
    mend: Callable[[nn.Module], None] = lambda model: None
    edit: tuple[str, ...] = ("intermediate_size",)

    def save(self, folder: Path) -> nn.Module:
        config = (getattr(transformers, self.config) if isinstance(self.config, str) else self.config)(**self.fields)
        config._attn_implementation = "eager"
        config._experts_implementation = "eager"  # the only one that computes in float64
        model = (getattr(transformers, self.model) if isinstance(self.model, str) else self.model)(config).eval()
        redraw(model)
        self.mend(model)
        model.save_pretrained(folder)
        return model


def seeing(text: int, image: int) -> Inputs:
    """Rows from the third or fifth on see some of the image; transformers wants what is hidden, and who sees at all."""
    visible = torch.zeros(2, text, image)
    visible[0, 3:, :4] = visible[1, 5:] = 1
    sees = visible.any(-1).float()[:, None, :, None]
    return {
        "input_ids": ids(2, text, vocabulary=89), "cross_attention_states": normal(2, image, 32),
        "cross_attention_mask": (1 - visible)[:, None] * torch.finfo(torch.float32).min * sees,
        "full_text_row_masked_out_mask": sees,
    }  # fmt: skip


def as_visible(given: Inputs) -> Inputs:
    rows = given["full_text_row_masked_out_mask"][:, 0]
    visible = (given["cross_attention_mask"][:, 0] == 0) * rows
    kept = {name: given[name] for name in ("input_ids", "cross_attention_states")}
    return kept | {"cross_attention_mask": visible.to(rows.dtype)}


def all_experts(model: nn.Module) -> None:
    """transformers 5.23 runs two of the experts; in place of its mixture stands a dense one."""
    config: Any = model.config
    divided, fraction = config.normalize_router_prob_before_dropping, config.moe_eval_capacity_token_fraction
    for module in model.modules():
        if isinstance(module, NllbMoeSparseMLP):
            module.forward = MethodType(  # type: ignore[method-assign]
                lambda self, x, *more: dense(self, x, fraction, divided, 1 - config.moe_token_dropout), module
            )


def no_bias(model: Any) -> None:
    """transformers 5.23 stores the bias of the head and never adds it."""
    model.lm_head.bias.data.zero_()


def measured(model: nn.Module) -> None:
    """Means and variances that a batch norm has met."""
    for name, buffer in model.named_buffers():
        if name.endswith(("running_mean", "running_var")):
            buffer.add_(0.3 * torch.rand(buffer.shape, generator=torch.Generator().manual_seed(len(name))))


def seen_from(first: int) -> Inputs:
    """One image, which words see from the given one on."""
    sees = (torch.arange(11) >= first).long().expand(2, 11)[:, :, None].contiguous()
    pixels = normal(2, 1, 3, 8, 8)
    return {"input_ids": ids(2, 11), "pixel_values": pixels, "image_attention_mask": sees,
            "attention_mask": torch.ones(2, 11, dtype=torch.long)}  # fmt: skip


def as_rows(rows: int) -> Callable[[Inputs], Inputs]:
    """The spec has no axis of images, and its mask one column for each row that is looked at."""

    def ours(given: Inputs) -> Inputs:
        sees = given["image_attention_mask"].expand(2, 11, rows).contiguous()
        return {"input_ids": given["input_ids"], "pixel_values": given["pixel_values"][:, 0],
                "image_attention_mask": sees}  # fmt: skip

    return ours


def two_types(length: int) -> Tensor:
    """The first token has a type of its own."""
    types = (torch.arange(length) > 6).long().repeat(2, 1)
    types[:, 0] = 2
    return types


def pair() -> Inputs:
    return {"input_ids": ids(2, 11), "decoder_input_ids": ids(2, 7)}


REFORMER = {
    "vocab_size": 97, "hidden_size": 32, "feed_forward_size": 48, "attention_head_size": 8, "num_attention_heads": 4,
    "attn_layers": ["local", "lsh"], "axial_pos_shape": [4, 8], "axial_pos_embds_dim": [8, 24], "is_decoder": True,
    "max_position_embeddings": 32, "lsh_attn_chunk_length": 8, "local_attn_chunk_length": 8, "num_buckets": 4,
    "num_hashes": 2, "hash_seed": 7,
}  # fmt: skip
NLLB = {
    "vocab_size": 97, "d_model": 32, "encoder_layers": 2, "decoder_layers": 4, "encoder_attention_heads": 4,
    "decoder_attention_heads": 2, "encoder_ffn_dim": 48, "decoder_ffn_dim": 48, "max_position_embeddings": 64,
    "num_experts": 4, "encoder_sparse_step": 2, "decoder_sparse_step": 2,
}  # fmt: skip
EXPERTS = {
    **DECODER, "vocab_size": 97, "num_key_value_heads": 4, "n_routed_experts": 8, "n_shared_experts": 2,
    "num_experts_per_tok": 3, "moe_intermediate_size": 16, "mlp_layer_types": ["dense", "sparse", "sparse"],
}  # fmt: skip
LOOKS = {
    "vocab_size": 97, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 4, "num_attention_heads": 4,
    "max_position_embeddings": 64, "cross_layer_interval": 2, "alpha_initializer": "ones", "qk_layer_norms": True,
    "use_resampler": True, "pad_token_id": 0,
    "vision_config": {"embed_dim": 20, "image_size": 8, "patch_size": 4, "num_hidden_layers": 2,
                      "num_attention_heads": 2, "intermediate_size": 24},
    "perceiver_config": {"use_resampler": True, "resampler_n_latents": 4, "resampler_depth": 2, "resampler_n_heads": 2,
                         "resampler_head_dim": 8, "qk_layer_norms_perceiver": True},
}  # fmt: skip
FUNNEL = {
    "vocab_size": 97, "block_sizes": [2, 1, 2], "num_decoder_layers": 2, "d_model": 32, "n_head": 4, "d_head": 8,
    "d_inner": 48,
}  # fmt: skip
SOUND = {
    "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 48,
    "conv_depthwise_kernel_size": 5,
}  # fmt: skip
CONFORMER = SOUND | {
    "conv_dim": [16, 16], "conv_stride": [5, 2], "conv_kernel": [10, 3], "num_conv_pos_embedding_groups": 4,
    "feat_extract_norm": "layer",
}  # fmt: skip
SHAW = SOUND | {
    "feature_projection_input_dim": 20,
    "left_max_position_embeddings": 5,
    "right_max_position_embeddings": 3,
}
QFORMER = {
    "vocab_size": 97, "hidden_size": 32, "num_hidden_layers": 3, "num_attention_heads": 4, "intermediate_size": 48,
    "encoder_hidden_size": 20, "cross_attention_frequency": 2, "max_position_embeddings": 64,
}  # fmt: skip


def queries() -> Inputs:
    return {"query_embeds": normal(2, 6, 32), "encoder_hidden_states": normal(2, 9, 20, seed=2)}


CASES = {
    "reformer": Case(
        "ReformerModelWithLMHead", "ReformerConfig", lambda: {"input_ids": ids(2, 32)}, REFORMER,
        # Draws depend on the type. The first rows see themselves alone, at -1e5, whose steps in float32 are 0.008.
        dtype=torch.float32, first=2, mend=no_bias, edit=("feed_forward_size",),
    ),
    "reformer with a table of positions": Case(
        "ReformerModelWithLMHead", "ReformerConfig", lambda: {"input_ids": ids(2, 24)},
        REFORMER | {"axial_pos_embds": False, "attn_layers": ["lsh", "lsh"], "num_hashes": 1}, dtype=torch.float32,
        first=2, mend=no_bias, edit=("feed_forward_size",),
    ),
    "nllb-moe": Case("NllbMoeForConditionalGeneration", "NllbMoeConfig", pair, NLLB, mend=all_experts, edit=()),
    "nllb-moe, few places": Case(
        "NllbMoeForConditionalGeneration", "NllbMoeConfig", pair,
        NLLB | {"moe_eval_capacity_token_fraction": 0.4, "normalize_router_prob_before_dropping": True,
                "moe_token_dropout": 0.1, "router_bias": True, "scale_embedding": False},
        mend=all_experts, edit=(),
    ),
    "mllama_text_model": Case(
        "MllamaForCausalLM", MllamaTextConfig, lambda: seeing(11, 7) | {"use_cache": False},
        {**DECODER, "vocab_size": 89, "cross_attention_layers": [1], "pad_token_id": 0,
         "rope_parameters": {"rope_type": "default", "rope_theta": 5e5}},
        as_visible,
    ),
    "wav2vec2-conformer": Case(
        "Wav2Vec2ConformerModel", "Wav2Vec2ConformerConfig", lambda: {"input_values": normal(2, 300)},
        CONFORMER | {"conv_bias": True, "layer_norm_eps": 1e-3}, mend=measured,
    ),
    "wav2vec2-conformer with words, no distances": Case(
        "Wav2Vec2ConformerForCTC", "Wav2Vec2ConformerConfig", lambda: {"input_values": normal(2, 300)},
        CONFORMER | {"position_embeddings_type": None, "hidden_act": "relu", "vocab_size": 19}, mend=measured,
    ),
    "wav2vec2-bert": Case(
        "Wav2Vec2BertModel", "Wav2Vec2BertConfig", lambda: {"input_features": normal(2, 14, 20)}, SHAW
    ),
    "wav2vec2-bert with words, sinusoids": Case(
        "Wav2Vec2BertForCTC", "Wav2Vec2BertConfig", lambda: {"input_features": normal(2, 14, 20)},
        SHAW | {"position_embeddings_type": "relative", "vocab_size": 19, "layer_norm_eps": 1e-3},
    ),
    "deepseek_ocr2_text": Case(
        DeepseekOcr2TextModel, DeepseekOcr2TextConfig, lambda: {"input_ids": ids(2, 11)}, EXPERTS, edit=(),
    ),
    "deepseek_ocr2_text, groups": Case(
        DeepseekOcr2TextModel, DeepseekOcr2TextConfig, lambda: {"input_ids": ids(2, 11)},
        EXPERTS | {"topk_method": "group_limited_greedy", "n_group": 4, "topk_group": 2, "attention_bias": True,
                   "routed_scaling_factor": 2.0, "mlp_layer_types": ["sparse"] * 3}, edit=(),
    ),
    "idefics": Case(
        "IdeficsForVisionText2Text", "IdeficsConfig", lambda: seen_from(4) | {"use_cache": False}, LOOKS, as_rows(4),
        edit=(),
    ),
    "idefics, the image as it is, more words": Case(
        "IdeficsForVisionText2Text", "IdeficsConfig", lambda: seen_from(0) | {"use_cache": False},
        LOOKS | {"use_resampler": False, "alpha_type": "vector", "qk_layer_norms": False, "additional_vocab_size": 3,
                 "vocab_size": 94}, as_rows(5), edit=(),
    ),
    "funnel": Case(
        "FunnelForMaskedLM", "FunnelConfig", lambda: {"input_ids": ids(2, 15), "token_type_ids": two_types(15)}, FUNNEL,
        edit=("d_inner",),
    ),
    "funnel, one block, untied": Case(
        "FunnelForMaskedLM", "FunnelConfig", lambda: {"input_ids": ids(2, 12), "token_type_ids": two_types(12)},
        FUNNEL | {"block_sizes": [2], "num_decoder_layers": 1, "attention_type": "factorized",
                  "tie_word_embeddings": False, "layer_norm_eps": 1e-3},
        edit=("d_inner",),
    ),
    "big_bird, longer than is seen whole": Case(
        "BigBirdForMaskedLM", "BigBirdConfig", lambda: {"input_ids": ids(2, 42)},
        ENCODER | {"vocab_size": 97, "block_size": 4, "num_random_blocks": 1, "max_position_embeddings": 64},
    ),
    "blip_2_qformer": Case("Blip2QFormerModel", "Blip2QFormerConfig", queries, QFORMER),
    "instructblip_qformer": Case(
        "InstructBlipQFormerModel", "InstructBlipQFormerConfig", lambda: queries() | {"input_ids": ids(2, 8)},
        QFORMER | {"num_query_tokens": 6},
    ),
}  # fmt: skip


@pytest.fixture(scope="module", params=list(CASES))
def saved(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Case, nn.Module, Path]:
    folder = tmp_path_factory.mktemp("model")
    case = CASES[request.param]
    return case, case.save(folder), folder


def cast(given: Inputs, dtype: torch.dtype) -> Inputs:
    return {name: x.to(dtype) if isinstance(x, Tensor) and x.is_floating_point() else x for name, x in given.items()}


@torch.no_grad()
def test_means_what_transformers_computes(saved: tuple[Case, nn.Module, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    case, model, folder = saved
    given = cast(case.given(), case.dtype)
    with monkeypatch.context() as patch:
        if case.dtype == torch.float64:
            patch.setattr(torch.Tensor, "float", torch.Tensor.double)
        out = model.to(case.dtype)(**given)
    expected = out.logits if "logits" in out else out.last_hidden_state
    source = open_source(folder)
    assert source.tensors is not None
    program = lower(resolve(source.spec))
    shapes = {path: param.shape for path, param in program.parameter_paths().items()}
    assert set(shapes) == set(source.tensors.recipes)
    weights = load(shapes, source.tensors, open_weights(folder), case.dtype)
    found = next(iter(interpret(program, weights, case.ours(given)).values()))
    tolerance = 1e-5 if case.dtype == torch.float64 else 1e-4
    torch.testing.assert_close(found[:, case.first :], expected[:, case.first :], atol=tolerance, rtol=tolerance)


@torch.no_grad()
def test_its_package_computes_the_same(saved: tuple[Case, nn.Module, Path], tmp_path: Path) -> None:
    case, model, folder = saved
    given = cast(case.given(), torch.float32)
    out = model.float()(**given)
    expected = out.logits if "logits" in out else out.last_hidden_state
    found = model_of(folder, tmp_path / "package")(**case.ours(given))
    torch.testing.assert_close(found[:, case.first :], expected[:, case.first :], atol=1e-4, rtol=1e-4)


def test_every_tensor_is_read_or_known(saved: tuple[Case, nn.Module, Path]) -> None:
    _, _, folder = saved
    source, stored = open_source(folder), open_weights(folder).shapes()
    assert source.tensors is not None
    shapes = {path: param.shape for path, param in lower(resolve(source.spec)).parameter_paths().items()}
    load(shapes, source.tensors, open_weights(folder))  # InputError for surplus tensors
    assert len(source.tensors.matched(stored).unread) < len(stored) / 4


def test_an_unedited_import_exports_the_same_file(saved: tuple[Case, nn.Module, Path]) -> None:
    assert export_config(open_source(saved[2]).spec) == (saved[2] / "config.json").read_text()


def test_without_origin_the_export_means_the_same(saved: tuple[Case, nn.Module, Path], tmp_path: Path) -> None:
    document = dict(open_source(saved[2]).spec._document)
    document.pop("origin")
    (tmp_path / "config.json").write_text(export_config(load_spec(document)))
    assert canonical(open_source(tmp_path).spec) == canonical(load_spec(document))
    original = json.loads((saved[2] / "config.json").read_text())
    assert json.loads((tmp_path / "config.json").read_text())["model_type"] == original["model_type"]


def test_an_edit_replaces_what_it_changes(saved: tuple[Case, nn.Module, Path]) -> None:
    case, _, folder = saved
    if not case.edit:
        pytest.skip("the widths of all layers hang together")
    text = json.dumps(open_source(folder).spec._document).replace('"d_ff": 48', '"d_ff": 56')
    original = json.loads((folder / "config.json").read_text())
    assert json.loads(export_config(load_spec(json.loads(text)))) == original | dict.fromkeys(case.edit, 56)


def test_an_unknown_field_is_refused_by_name(saved: tuple[Case, nn.Module, Path], tmp_path: Path) -> None:
    fields = json.loads((saved[2] / "config.json").read_text()) | {"surprise": {"a": 1}}
    (tmp_path / "config.json").write_text(json.dumps(fields))
    with pytest.raises(InputError, match=r"/surprise.*is not understood"):
        open_source(tmp_path)


REFUSED = {
    "reformer": [{"num_buckets": None}, {"num_buckets": [2, 4]}, {"is_decoder": False}, {"attn_layers": ["global"]}],
    "nllb-moe": [
        {"second_expert_policy": "random"},
        {"batch_prioritized_routing": True},
        {"tie_word_embeddings": False},
    ],
    "mllama_text_model": [{"cross_attention_layers": "all"}, {"head_dim": 16}],
    "wav2vec2-conformer": [
        {"feat_extract_norm": "group"},
        {"position_embeddings_type": "rotary"},
        {"add_adapter": True},
    ],
    "wav2vec2-bert": [{"position_embeddings_type": "rotary"}, {"conv_depthwise_kernel_size": 4}],
    "deepseek_ocr2_text": [{"mlp_layer_types": None}, {"mlp_bias": True}, {"topk_method": "noaux_tc"}],
    "idefics": [
        {"vision_config": {"surprise": 1}},
        {"perceiver_config": {"surprise": 1}},
        {"alpha_type": "matrix"},
        {"num_key_value_heads": 2},
    ],
    "funnel": [
        {"block_repeats": [1, 2, 1]},
        {"pooling_type": "max"},
        {"separate_cls": False},
        {"pool_q_only": False},
        {"block_sizes": [0, 1]},
        {"block_sizes": 3},
    ],
    "blip_2_qformer": [{"use_qformer_text_input": True}],
}


@pytest.mark.parametrize(("name", "change"), [(name, change) for name in REFUSED for change in REFUSED[name]], ids=str)
def test_what_changes_the_computation_is_refused(name: str, change: dict[str, Any], tmp_path: Path) -> None:
    CASES[name].save(tmp_path)
    fields = json.loads((tmp_path / "config.json").read_text()) | change
    (tmp_path / "config.json").write_text(json.dumps(fields))
    with pytest.raises(InputError, match=f"/{next(iter(change))}"):
        open_source(tmp_path)
