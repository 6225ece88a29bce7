"""InstructBLIP's query former: queries beside a text, each with an MLP of its own; only queries look at the image.

Defaults: transformers 5.23 `models/instructblip/configuration_instructblip.py` InstructBlipQFormerConfig.
"""

from typing import Any

from archspec.interop.hf import qformer
from archspec.interop.hf.config import Config
from archspec.interop.hf.family import Family, HeadKind
from archspec.interop.tensor_map import TensorMap
from archspec.spec import Resolved


def to_spec(config: Config, head: HeadKind) -> dict[str, Any]:
    return qformer.spec(qformer.read(config, text=True), text=True)


def tensors(config: Config, head: HeadKind) -> TensorMap:
    return qformer.tensors(qformer.read(config, text=True), text=True)


def to_config(resolved: Resolved) -> dict[str, Any]:
    return qformer.fields(resolved, text=True)


FAMILY = Family(
    model_type="instructblip_qformer",
    spec=to_spec,
    tensors=tensors,
    config=to_config,
    heads={"InstructBlipQFormerModel": "none"},
    head="none",
)
