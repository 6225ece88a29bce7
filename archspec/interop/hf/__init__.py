"""Hugging Face configurations: one file for each `model_type`.

To add a family: its file, which ends with `FAMILY = Family(...)`, one line in FAMILIES, and a row in `tests/interop`.
"""

from difflib import get_close_matches
from importlib import import_module

from archspec.errors import InputError
from archspec.interop.hf.family import Family

# model_type in config.json -> module here. Export tries them in this order, so a plainer family stands first.
FAMILIES = {
    "llama": "llama",
    "mistral": "mistral",
    "qwen2": "qwen2",
    "qwen3": "qwen3",
    "gemma": "gemma",
    "gemma2": "gemma2",
    "gemma3_text": "gemma3_text",
    "olmo2": "olmo2",
    "phi3": "phi3",
    "gpt_neox": "gpt_neox",
    "gpt_oss": "gpt_oss",
    "mixtral": "mixtral",
    "qwen2_moe": "qwen2_moe",
    "qwen3_moe": "qwen3_moe",
    "deepseek_v2": "deepseek_v2",
    "deepseek_v3": "deepseek_v3",
    "deepseek_ocr2_text": "deepseek_ocr2_text",
    "minimax": "minimax",
    "rwkv": "rwkv",
    "xlnet": "xlnet",
    "transfo-xl": "transfo_xl",
    "reformer": "reformer",
    "mamba": "mamba",
    "mamba2": "mamba2",
    "jamba": "jamba",
    "gpt2": "gpt2",
    "bloom": "bloom",
    "falcon": "falcon",
    "glm": "glm",
    "glm4": "glm4",
    "mpt": "mpt",
    "funnel": "funnel",
    "idefics": "idefics",
    "mllama_text_model": "mllama_text_model",
    "wav2vec2-conformer": "wav2vec2_conformer",
    "wav2vec2-bert": "wav2vec2_bert",
    "blip_2_qformer": "blip_2_qformer",
    "instructblip_qformer": "instructblip_qformer",
    "nllb-moe": "nllb_moe",
    "t5": "t5",
    "switch_transformers": "switch_transformers",
    "bart": "bart",
    "mbart": "mbart",
    "marian": "marian",
    "bert": "bert",
    "roberta": "roberta",
    "xlm-roberta": "xlm_roberta",
    "xlm-roberta-xl": "xlm_roberta_xl",
    "roformer": "roformer",
    "longformer": "longformer",
    "big_bird": "big_bird",
}


def family(model_type: object, source: str = "") -> Family:
    """The importer of a `model_type`; InputError names the nearest one that exists."""
    if not isinstance(model_type, str) or model_type not in FAMILIES:
        near = get_close_matches(str(model_type), list(FAMILIES), 1)
        hint = f", did you mean {near[0]!r}?" if near else ""
        known = ", ".join(FAMILIES)
        raise InputError(
            f"model_type {model_type!r} has no importer{hint}; there are {known}", source=source, path="/model_type"
        )
    return import_module(f"{__name__}.{FAMILIES[model_type]}").FAMILY
