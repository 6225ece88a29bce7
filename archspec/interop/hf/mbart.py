"""mBART: BART with norms before each branch and one after the last layer of each stack.

Defaults: transformers 5.23 `models/mbart/configuration_mbart.py` MBartConfig.
"""

from typing import Any

from archspec.interop.hf import bart
from archspec.interop.hf.config import Config
from archspec.interop.hf.family import Family, HeadKind
from archspec.interop.tensor_map import TensorMap

MBART = bart.Kind(pre_norm=True)


def to_spec(config: Config, head: HeadKind) -> dict[str, Any]:
    return bart.spec(bart.read(config, MBART, 50265), head)


def tensors(config: Config, head: HeadKind) -> TensorMap:
    return bart.tensors(bart.read(config, MBART, 50265), head)


FAMILY = Family(
    model_type="mbart",
    spec=to_spec,
    tensors=tensors,
    config=bart.fields,
    heads={"MBartForConditionalGeneration": "tokens", "MBartModel": "none"},
    inert=bart.INERT,
    encoder_decoder=True,
)
