"""Every system that the project must express has a spec; every spec that stands here exists."""

import pytest

from archspec import zoo

# System -> the spec that stands for it. A technique stands with its best-known model or its reference's own shape.
SYSTEMS = {
    # encoders and encoder-decoders
    "transformer": "transformer-base", "marian": "marian-en-de", "bert": "bert-base", "roberta": "roberta-base",
    "xlm_roberta": "xlm-roberta-base", "xlm_roberta_xl": "xlm-roberta-xl", "bart": "bart-base",
    "mbart": "mbart-large-cc25", "t5": "t5-base", "flan_ul2": "flan-ul2", "flan_t5": "flan-t5-base",
    # dense decoders
    "gpt2": "gpt2", "llama3": "llama-3.1-8b", "bloom": "bloom-560m", "bloom_padded": "bloom-560m",
    "falcon_7b": "falcon-7b", "falcon_40b": "falcon-40b", "falcon2_11b": "falcon2-11b", "falcon_rw": "falcon-rw-1b",
    "mistral": "mistral-7b", "qwen2": "qwen2-7b", "qwen3": "qwen3-8b", "glm": "glm-4-9b", "chatglm3": "chatglm3-6b",
    "glm4": "glm-4-9b-0414",
    # mixture of experts
    "mixtral": "mixtral-8x7b", "qwen2_moe": "qwen1.5-moe-a2.7b", "qwen3_moe": "qwen3-30b-a3b",
    "deepseek_moe": "deepseek-moe-16b", "deepseek_v2": "deepseek-v2", "deepseek_v2_lite": "deepseek-v2-lite",
    "deepseek_v3": "deepseek-v3", "switch": "switch-base-8", "gshard_nllb": "nllb-moe-54b",
    "gshard_moe": "gshard-600b", "st_moe": "st-moe-32b", "glam": "glam-64b-64e",
    # efficient and sparse attention
    "linformer": "linformer-base", "reformer": "reformer-enwik8", "longformer": "longformer-base-4096",
    "longformer_dilated": "longformer-enwik8", "bigbird": "bigbird-roberta-base",
    "bigbird_eval": "bigbird-roberta-base-eval", "performer": "performer-protein",
    "performer_causal": "performer-imagenet64", "axial": "axial-attention-module",
    "hierarchical_h1d": "h-transformer-1d", "hierarchical_funnel": "funnel-small", "nsa": "nsa-module",
    "moba": "moba-8b",
    # segment recurrence, memory, permutation
    "transformer_xl_hf": "transformer-xl-wt103", "transformer_xl": "transformer-xl-labml",
    "compressive": "compressive-transformer-gru", "xlnet": "xlnet-base", "memorizing_knn": "longllama-3b",
    # recurrent and convolutional mixers
    "retnet": "retnet-1.3b-torchscale", "retnet_yar": "retnet-yar-1.3b", "mamba": "mamba-130m",
    "mambapy": "mamba-130m", "mamba2": "mamba2-130m", "jamba": "jamba-v0.1", "rwkv4": "rwkv-4-169m",
    "gla_op": "gla-1.3b", "linear_attn_op": "linear-attention-module", "simple_gla_op": "simple-gla-module",
    "retention_op": "retention-module", "lightning_minimax": "minimax-text-01", "stripedhyena": "stripedhyena-7b",
    # norms, positions, cross-modal
    "deepnorm_enc": "deepnorm-encoder", "deepnorm_dec": "deepnorm-decoder", "glm130b_block": "glm-130b",
    "alibi_mpt": "mpt-7b", "rpr_shaw": "w2v-bert-2.0", "rpr_shaw_bert": "bert-base-relative",
    "rpr_conformer": "wav2vec2-conformer-large", "roformer": "roformer-base", "flamingo": "idefics-9b",
    "flamingo_gca": "flamingo-module", "mllama_cross": "llama-3.2-11b-vision-text", "qformer": "blip2-qformer",
    "instructblip_qformer": "instructblip-qformer",
}  # fmt: skip

# Published sizes that people know by name.
KNOWN = """
    llama-2-7b llama-2-13b llama-2-70b llama-3-8b llama-3-70b llama-3.1-8b llama-3.1-70b llama-3.1-405b llama-3.2-1b
    llama-3.2-3b smollm2-135m smollm2-360m smollm2-1.7b mistral-7b mixtral-8x7b mixtral-8x22b
    qwen2-0.5b qwen2-1.5b qwen2-7b qwen2-72b qwen2.5-0.5b qwen2.5-1.5b qwen2.5-3b qwen2.5-7b qwen2.5-14b qwen2.5-32b
    qwen2.5-72b qwen3-0.6b qwen3-1.7b qwen3-4b qwen3-8b qwen3-14b qwen3-32b qwen3-30b-a3b qwen3-235b-a22b
    qwen1.5-moe-a2.7b qwen2-57b-a14b deepseek-moe-16b deepseek-v2 deepseek-v2-lite deepseek-v3 deepseek-r1
    falcon-7b falcon-40b falcon-180b falcon2-11b falcon-rw-1b bloom-560m bloom-7b1 bloom-176b
    gpt2 gpt2-medium gpt2-large gpt2-xl mpt-7b t5-small t5-base t5-large t5-3b t5-11b
    flan-t5-small flan-t5-base flan-t5-large flan-t5-xl flan-t5-xxl flan-ul2 bart-base bart-large mbart-large-cc25
    marian-en-de transformer-base transformer-big bert-base bert-large roberta-base roberta-large
    xlm-roberta-base xlm-roberta-large xlm-roberta-xl minilm-l6 chatglm-6b chatglm3-6b glm-4-9b glm-130b
    longformer-base-4096 longformer-large-4096 bigbird-roberta-base reformer-enwik8 linformer-base
    xlnet-base xlnet-large retnet-1.3b retnet-2.7b retnet-6.7b
    mamba-130m mamba-370m mamba-790m mamba-1.4b mamba-2.8b falcon-mamba-7b
    mamba2-130m mamba2-370m mamba2-780m mamba2-1.3b mamba2-2.7b jamba-v0.1 stripedhyena-7b
    rwkv-4-169m rwkv-4-430m rwkv-4-1.5b rwkv-4-3b rwkv-4-7b rwkv-4-14b minimax-text-01 deepnet-3.2b
"""


@pytest.mark.parametrize("system", SYSTEMS)
def test_system_has_a_spec(system: str) -> None:
    assert zoo.path(SYSTEMS[system]).is_file()


def test_all_systems_are_here() -> None:
    assert len(SYSTEMS) == 81


@pytest.mark.parametrize("name", KNOWN.split())
def test_known_size_is_in_the_zoo(name: str) -> None:
    assert zoo.path(name).is_file()
