"""XLM-RoBERTa: RoBERTa under other class names and with BERT's default vocabulary.

Defaults: transformers 5.23 `models/xlm_roberta/configuration_xlm_roberta.py` XLMRobertaConfig.
"""

from typing import Any

from archspec.interop.hf import encoder, roberta
from archspec.interop.hf.config import Config
from archspec.interop.hf.family import Family, HeadKind
from archspec.interop.tensor_map import TensorMap


def read(config: Config) -> encoder.Encoder:
    return roberta.read(config, vocab_size=30522)


def to_spec(config: Config, head: HeadKind) -> dict[str, Any]:
    return encoder.spec(read(config), head)


def tensors(config: Config, head: HeadKind) -> TensorMap:
    return encoder.tensors(read(config), head, "roberta.", roberta.NAMES)


FAMILY = Family(
    model_type="xlm-roberta",
    spec=to_spec,
    tensors=tensors,
    config=roberta.to_config,
    heads={"XLMRobertaModel": "none", "XLMRobertaForMaskedLM": "tokens", "XLMRobertaForCausalLM": "tokens"},
)
