"""Fields that are called inert are read nowhere in transformers' forward, or only where it is said here why not."""

import inspect
import re
from importlib import import_module

import pytest
import transformers

from archspec.interop.hf import FAMILIES, family
from archspec.interop.hf.inert import ALWAYS

# Read by many models, for other things than what they compute.
ANYWHERE = {
    "_attn_implementation": "which kernel",
    "attention_dropout": "training",
    "attention_probs_dropout_prob": "training",
    "activation_dropout": "training",
    "attn_pdrop": "training",
    "chunk_size_feed_forward": "the MLP in pieces, the same sum",
    "chunk_size_lm_head": "the head in pieces, the same sum",
    "classifier_dropout": "another head, training",
    "decoder_layerdrop": "training",
    "decoder_start_token_id": "shifts labels",
    "dropout": "training",
    "dropout_rate": "training",
    "dtype": "casts",
    "embd_pdrop": "training",
    "encoder_layerdrop": "training",
    "eos_token_id": "other heads pool at it",
    "gradient_checkpointing": "training",
    "hidden_dropout": "training",
    "hidden_dropout_prob": "training",
    "id2label": "other heads",
    "init_std": "initialisers",
    "initializer_factor": "initialisers",
    "initializer_range": "initialisers",
    "is_decoder": "in an example of the documentation",
    "layerdrop": "training",
    "num_labels": "other heads",
    "output_attentions": "what is returned",
    "output_hidden_states": "what is returned",
    "output_router_logits": "what is returned",
    "pad_token_id": "the row of a table that is not trained; where positions are counted over it, it is read",
    "problem_type": "losses",
    "resid_pdrop": "training",
    "return_dict": "what is returned",
    "router_aux_loss_coef": "losses",
    "router_jitter_noise": "training",
    "router_z_loss_coef": "losses",
    "sep_token_id": "another head",
    "summary_activation": "another head",
    "summary_first_dropout": "another head",
    "summary_last_dropout": "another head",
    "summary_proj_to_labels": "another head",
    "summary_type": "another head",
    "summary_use_proj": "another head",
    "use_cache": "what is returned",
}
HERE = {
    "deepseek_v2": {"head_dim": "set anew by the configuration class"},
    "minimax": {"block_size": "the sum in blocks"},
    "switch_transformers": {"router_ignore_padding_tokens": "kept, and not used"},
    "xlnet": {
        **dict.fromkeys(["mem_len", "reuse_len", "use_mems_eval", "use_mems_train"], "memories that the caller gives"),
        **dict.fromkeys(["start_n_top", "end_n_top"], "another head"),
        "same_length": "only with attn_type uni, which is refused",
    },
    "reformer": {
        "axial_norm_std": "initialisers",
        **dict.fromkeys(["local_attention_probs_dropout_prob", "lsh_attention_probs_dropout_prob"], "training"),
    },
    "mamba": {
        "residual_in_fp32": "precision of the stream",
        **dict.fromkeys(["use_associative_scan", "use_mambapy"], "which kernel"),
        **dict.fromkeys(
            ["rescale_prenorm_residual", "time_step_floor", "time_step_init_scheme", "time_step_max", "time_step_min",
             "time_step_scale"],
            "initialisers",
        ),
    },
    "mamba2": {
        "residual_in_fp32": "precision of the stream",
        "chunk_size": "the scan in pieces",
        "time_step_rank": "kept, and not used",
        **dict.fromkeys(
            ["rescale_prenorm_residual", "time_step_floor", "time_step_max", "time_step_min"], "initialisers"
        ),
    },
    "jamba": dict.fromkeys(["use_associative_scan", "use_mambapy", "use_mamba_kernels"], "which kernel"),
    "bloom": dict.fromkeys(["pretraining_tp", "slow_but_exact"], "the same product in slices"),
    "idefics": {
        **dict.fromkeys(["alpha_initializer", "alphas_initializer_range"], "initialisers"),
        **dict.fromkeys(
            ["freeze_lm_head", "freeze_text_layers", "freeze_text_module_exceptions", "freeze_vision_layers",
             "freeze_vision_module_exceptions"],
            "training",
        ),
    },
    "nllb-moe": {"expert_capacity": "stands in for a share of the words that is 0, which is refused"},
    **{
        kind: {
            **dict.fromkeys(
                ["apply_spec_augment", "mask_time_prob", "mask_time_length", "mask_time_min_masks", "mask_feature_prob",
                 "mask_feature_length", "mask_feature_min_masks", "feat_proj_dropout", "feat_quantizer_dropout",
                 "final_dropout", "conformer_conv_dropout", "diversity_loss_weight", "contrastive_logits_temperature",
                 "ctc_loss_reduction", "ctc_zero_infinity"],
                "training",
            ),
            **dict.fromkeys(
                ["codevector_dim", "num_codevector_groups", "num_codevectors_per_group", "num_negatives",
                 "proj_codevector_dim", "use_weighted_layer_sum", "classifier_proj_size", "tdnn_dim", "tdnn_dilation",
                 "tdnn_kernel", "xvector_output_dim"],
                "another head",
            ),
            **dict.fromkeys(
                ["adapter_act", "adapter_kernel_size", "adapter_stride", "num_adapter_layers", "output_hidden_size",
                 "use_intermediate_ffn_before_adapter"],
                "an adapter, which is refused",
            ),
            **dict.fromkeys(["num_conv_pos_embeddings", "num_conv_pos_embedding_groups"], "made, and not used"),
            "rotary_embedding_base": "another kind of distances, which is refused",
        }
        for kind in ("wav2vec2-conformer", "wav2vec2-bert")
    },
    "funnel": {"initializer_std": "initialisers"},
    "longformer": {"onnx_export": "the same chunks by other operators"},
}  # fmt: skip


@pytest.mark.parametrize("model_type", [name for name in FAMILIES if name in transformers.CONFIG_MAPPING])
def test_no_model_reads_them(model_type: str) -> None:
    importer = family(model_type)
    module = transformers.CONFIG_MAPPING[model_type].__module__.replace(".configuration_", ".modeling_")
    source = inspect.getsource(import_module(module))
    read = set(re.findall(r'config\.(\w+)|getattr\((?:self\.)?config, "(\w+)"', source))
    found = {name for pair in read for name in pair if name} & (ALWAYS | importer.inert)
    assert found <= set(ANYWHERE) | set(HERE.get(model_type, {}))
