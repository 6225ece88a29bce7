"""Marian: BART with sinusoids for positions and no norm on the sum.

Defaults: transformers 5.23 `models/marian/configuration_marian.py` MarianConfig. Separate tables for the two languages
are not understood here.
"""

from typing import Any

from archspec.interop.hf import bart
from archspec.interop.hf.config import Config
from archspec.interop.hf.family import Family, HeadKind
from archspec.interop.tensor_map import TensorMap
from archspec.spec import Resolved

MARIAN = bart.Kind(learned=False)
PADDING = 58100  # MarianConfig.pad_token_id


def read(config: Config) -> bart.Bart:
    found = bart.read(config, MARIAN, 58101)
    config.fixed("share_encoder_decoder_embeddings", True)
    config.fixed("decoder_vocab_size", found.vocab_size)
    return found


def to_spec(config: Config, head: HeadKind) -> dict[str, Any]:
    return bart.spec(read(config), head)


def tensors(config: Config, head: HeadKind) -> TensorMap:
    return bart.tensors(read(config), head)


def to_config(resolved: Resolved) -> dict[str, Any]:
    fields = bart.fields(resolved) | {"decoder_vocab_size": resolved.vocab_size}
    if resolved.vocab_size is not None and resolved.vocab_size <= PADDING:
        fields["pad_token_id"] = 0  # the default would be no row of the table
    return fields


FAMILY = Family(
    model_type="marian",
    spec=to_spec,
    tensors=tensors,
    config=to_config,
    heads={"MarianMTModel": "tokens", "MarianModel": "none"},
    inert=bart.INERT,
    encoder_decoder=True,
)
