"""BERT, and sentence encoders made from it.

Defaults: transformers 5.23 `models/bert/configuration_bert.py` BertConfig.
"""

from typing import Any

from archspec.interop.hf import encoder
from archspec.interop.hf.config import Config
from archspec.interop.hf.family import CannotSay, Family, HeadKind
from archspec.interop.tensor_map import TensorMap
from archspec.spec import Resolved

NAMES = encoder.HeadNames(
    dense="cls.predictions.transform.dense",
    norm="cls.predictions.transform.LayerNorm",
    decoder="cls.predictions.decoder",
    bias="cls.predictions.bias",
)


def read(config: Config) -> encoder.Encoder:
    return encoder.read(config, vocab_size=30522)


def to_spec(config: Config, head: HeadKind) -> dict[str, Any]:
    return encoder.spec(read(config), head)


def tensors(config: Config, head: HeadKind) -> TensorMap:
    return encoder.tensors(read(config), head, "bert.", NAMES)


def to_config(resolved: Resolved) -> dict[str, Any]:
    if resolved.stacks[resolved.output].inputs[0].positions.type != "index":
        raise CannotSay("positions are plain indices")
    return encoder.fields(resolved)


# Written by the first release for its own pooler; nothing reads them.
POOLER_FIELDS = frozenset({
    "directionality", "pooler_fc_size", "pooler_num_attention_heads", "pooler_num_fc_layers",
    "pooler_size_per_head", "pooler_type",
})  # fmt: skip

FAMILY = Family(
    model_type="bert",
    spec=to_spec,
    tensors=tensors,
    config=to_config,
    heads={
        "BertModel": "none",
        "BertForMaskedLM": "tokens",
        "BertLMHeadModel": "tokens",
        "BertForPreTraining": "tokens",  # its next-sentence head is left out
    },
    inert=POOLER_FIELDS,
)
