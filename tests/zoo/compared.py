"""What each system was compared with, where, and how closely: read from the tests' own tables where there is one.

The rest is written here by hand, with the test that does it; `test_systems_page` fails where that test or its bound is
gone. `part`: what the comparison leaves out, or the part it is restricted to.
"""

from dataclasses import dataclass
from pathlib import Path

from tests.interop.tiny import CASES as IMPORTED
from tests.zoo.test_meaning import CASES as MEANT

ROOT = Path(__file__).parents[2]
MEANING = "tests/zoo/test_meaning.py::test_means_what_transformers_computes"
FAMILIES = "tests/interop/test_families.py::test_means_what_transformers_computes"

SPOKEN = {"atol=0": "exact", "assert_close": "torch's default tolerance"}


@dataclass(frozen=True)
class Comparison:
    """`tolerance`: absolute, as the test writes it."""

    reference: str
    test: str
    tolerance: str
    part: str = ""

    @property
    def line(self) -> str:
        part = f"; {self.part}" if self.part else ""
        file = self.test.partition("::")[0]
        bound = SPOKEN.get(self.tolerance, self.tolerance)
        return f"{self.reference}, {bound}{part} ([test](../{file}))"


# Where the case of a table has another name than the system's spec.
MEANT_AS = {"bert": "bert-large", "xlm_roberta": "xlm-roberta-large"}
IMPORTED_AS = {
    "gpt2": "gpt2", "llama3": "llama3 scaling", "mistral": "mistral", "qwen2": "qwen2", "qwen3": "qwen3",
    "roberta": "roberta",
}  # fmt: skip
LEFT_OUT = {}
ARITHMETIC = "plain arithmetic"

PARITY = {
    "bloom_padded": Comparison(
        "transformers BloomForCausalLM with padding",
        "tests/parity/test_padded_bloom.py::test_bloom_with_padding", "1e-4",
    ),
    "switch": Comparison(
        "transformers SwitchTransformersForConditionalGeneration",
        "tests/parity/test_capacity.py::test_switch_is_transformers_switch", "1e-4",
    ),
    "deepseek_moe": Comparison(
        "transformers DeepseekOcr2TextModel", "tests/parity/test_mixture_models.py::test_deepseek_moe", "1e-4"
    ),
    "deepseek_v2": Comparison(
        "transformers DeepseekV2ForCausalLM", "tests/parity/test_mixture_models.py::test_deepseek_v2_with_yarn", "1e-4"
    ),
    "deepseek_v2_lite": Comparison(
        "transformers DeepseekV2ForCausalLM", "tests/parity/test_mixture_models.py::test_deepseek_v2_with_yarn", "1e-4"
    ),
    "gshard_nllb": Comparison(
        "transformers NllbMoeForConditionalGeneration", "tests/parity/test_nllb.py::test_as_published", "1e-4",
        "its mixture, which is wrong there, replaced by a dense one of the published router",
    ),
    "gshard_moe": Comparison(
        "torch.nn.Transformer's layers and mixture-of-experts 0.2.3",
        "tests/parity/test_frozen_mixtures.py::test_gshard_model", "1e-4",
    ),
    "st_moe": Comparison(
        "T5 with the mixture and the gated layers of st-moe-pytorch 0.1.8 without biases",
        "tests/parity/test_frozen_mixtures.py::test_st_moe_model", "1e-4",
    ),
    "glam": Comparison(
        "T5's attention and mixture-of-experts 0.2.3",
        "tests/parity/test_frozen_mixtures.py::test_glam", "1e-4",
    ),
    "reformer": Comparison(
        "transformers ReformerModelWithLMHead in float64",
        "tests/parity/test_hashing.py::test_reformer_is_transformers", "1e-10",
    ),
    "longformer": Comparison(
        "transformers LongformerForMaskedLM",
        "tests/parity/test_several_streams.py::test_longformer_rows_with_projections_of_their_own", "1e-4",
    ),
    "xlnet": Comparison(
        "transformers XLNetLMHeadModel", "tests/parity/test_permutation.py::test_xlnet", "1e-4"
    ),
    "instructblip_qformer": Comparison(
        "transformers InstructBlipQFormerModel",
        "tests/parity/test_query_formers.py::test_query_former_beside_text", "1e-4",
    ),
    "mllama_cross": Comparison(
        "transformers MllamaForCausalLM",
        "tests/parity/test_query_formers.py::test_text_rows_that_see_no_image", "1e-4",
    ),
    "rpr_conformer": Comparison(
        "transformers Wav2Vec2ConformerModel",
        "tests/parity/test_convolutions.py::test_conformer_over_waves_is_transformers", "1e-4",
    ),
    "longformer_dilated": Comparison(
        "dense models from the published formulas, transformers' Longformer where nothing is dilated",
        "tests/parity/test_dilated_windows.py::test_encoder", "1e-4",
    ),
    "bigbird": Comparison(
        "transformers BigBirdForMaskedLM in training without dropout",
        "tests/parity/test_sparse_blocks.py::test_big_bird_is_transformers", "1e-4",
    ),
    "bigbird_eval": Comparison(
        "transformers BigBirdForMaskedLM", "tests/parity/test_sparse_blocks.py::test_big_bird_is_transformers", "1e-4"
    ),
    "moba": Comparison(
        "transformers' Llama with block attention written from the published rule",
        "tests/parity/test_chosen_blocks.py::test_whole_model", "1e-4",
    ),
    "axial": Comparison(
        "axial-attention 0.6.1", "tests/parity/test_grids_and_maps.py::test_axial_attention", "1e-4"
    ),
    "linformer": Comparison(
        "linformer 0.2.3 LinformerLM", "tests/parity/test_grids_and_maps.py::test_linformer", "1e-4"
    ),
    "flamingo": Comparison(
        "transformers IdeficsForVisionText2Text", "tests/parity/test_cross_modal.py::test_idefics_from_pixels", "1e-4"
    ),
    "flamingo_gca": Comparison(
        "flamingo-pytorch 0.1.2", "tests/parity/test_cross_modal.py::test_flamingo_of_one_medium", "1e-4"
    ),
    "qformer": Comparison(
        "transformers Blip2QFormerModel", "tests/parity/test_query_formers.py::test_query_former", "1e-4"
    ),
    "transformer_xl_hf": Comparison(
        "transformers TransfoXLLMHeadModel 4.35.2", "tests/parity/test_segments.py::test_transformers", "1e-4"
    ),
    "compressive": Comparison(
        "compressive-transformer-pytorch 0.4.0, five segments",
        "tests/parity/test_compressed_past.py::test_package", "1e-4",
    ),
    "transformer_xl": Comparison(
        "labml-nn 0.5.1, three segments", "tests/parity/test_segments.py::test_labml", "1e-4"
    ),
    "rpr_shaw": Comparison(
        "transformers Wav2Vec2BertModel", "tests/parity/test_shaw.py::test_conformer_is_transformers", "1e-4"
    ),
    "rpr_shaw_bert": Comparison(
        "BertForMaskedLM of transformers 4.35.2", "tests/parity/test_shaw.py::test_both_sides_are_transformers", "1e-4"
    ),
    "hierarchical_funnel": Comparison(
        "transformers FunnelForMaskedLM", "tests/parity/test_funnel.py::test_model_is_transformers", "1e-4"
    ),
    "performer": Comparison(
        "performer-pytorch 1.1.4 PerformerLM", "tests/parity/test_performer.py::test_model_is_performers", "1e-4"
    ),
    "performer_causal": Comparison(
        "performer-pytorch 1.1.4 PerformerLM, as published and with its attention on each prefix alone",
        "tests/parity/test_performer.py::test_causal_model_is_performers", "1e-4",
    ),
    "stripedhyena": Comparison(
        "stripedhyena 0.2.2, its flash-attn replaced", "tests/parity/test_hyena.py::test_model_is_stripedhyena", "1e-4"
    ),
    "transformer": Comparison(
        "torch.nn.Transformer, as published and with its own defaults",
        "tests/parity/test_transformer_base.py::test_torch_transformer", "1e-4",
    ),
    "glm130b_block": Comparison(
        "the published block written out, with a prefix", "tests/parity/test_prefix.py::test_as_published", "1e-4"
    ),
    "retnet": Comparison(
        "torchscale 0.3.0 RetNetDecoder: parallel, chunkwise, recurrent",
        "tests/parity/test_retention.py::test_all_forms", "1e-4",
    ),
    "retnet_yar": Comparison(
        "yet-another-retnet 0.5.1 RetNet: parallel, chunkwise, recurrent",
        "tests/parity/test_retention.py::test_all_forms", "1e-4",
    ),
    "mambapy": Comparison(
        "mambapy 1.2.0 LM: parallel scan and steps", "tests/parity/test_gated_linear.py::test_mambapy", "1e-4"
    ),
    "gla_op": Comparison(
        "fla-core 0.6.0 naive_recurrent_gla, alone and in whole layers",
        "tests/parity/test_gated_linear.py::test_gated_linear_attention_whole", "1e-4",
    ),
    "linear_attn_op": Comparison(
        "fla-core 0.6.0 naive_recurrent_linear_attn",
        "tests/parity/test_gated_linear.py::test_operators_behind_projections", "1e-4",
    ),
    "simple_gla_op": Comparison(
        "fla-core 0.6.0 naive_recurrent_simple_gla, its parallel and chunked forms",
        "tests/parity/test_gated_linear.py::test_operators_behind_projections", "1e-4",
    ),
    "retention_op": Comparison(
        "fla-core 0.6.0 naive_retention", "tests/parity/test_gated_linear.py::test_operators_behind_projections", "1e-4"
    ),
    "deepnorm_enc": Comparison(
        "torchscale 0.3.0 Encoder", "tests/parity/test_deepnorm.py::test_encoder", "1e-4"
    ),
    "deepnorm_dec": Comparison(
        "torchscale 0.3.0 Decoder with xPos", "tests/parity/test_deepnorm.py::test_decoder_with_xpos", "1e-4"
    ),
    "nsa": Comparison(
        "native-sparse-attention-pytorch 0.2.3", "tests/parity/test_nsa.py::test_is_the_package", "1e-4"
    ),
    "hierarchical_h1d": Comparison(
        "h-transformer-1d 0.1.9", "tests/parity/test_hierarchical.py::test_is_the_package", "1e-4"
    ),
    "memorizing_knn": Comparison(
        "the published rule written out", "tests/parity/test_memory.py::test_longllama", "1e-4"
    ),
}  # fmt: skip


def comparison(system: str, spec: str) -> Comparison | None:
    """What `system`, which the zoo's `spec` stands for, was compared with; None: nothing yet."""
    if system in PARITY:
        return PARITY[system]
    meant = MEANT_AS.get(system, spec)
    if meant in MEANT:
        kind = MEANT[meant].kind
        return Comparison(f"transformers {kind}", MEANING, "1e-4", LEFT_OUT.get(system, ""))
    if system in IMPORTED_AS:
        return Comparison(f"transformers {IMPORTED[IMPORTED_AS[system]].model}", FAMILIES, "1e-5")
    return None


def all_comparisons() -> list[Comparison]:
    """Those that stand here by hand, and the two tables' tests."""
    return [*PARITY.values(), Comparison("", MEANING, "1e-4"), Comparison("", FAMILIES, "1e-5")]
