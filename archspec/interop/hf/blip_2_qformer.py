"""BLIP-2's query former: queries alone.

Defaults: transformers 5.23 `models/blip_2/configuration_blip_2.py` Blip2QFormerConfig. Without a text, nothing reads
the sizes of its vocabulary and of its table of positions.
"""

from typing import Any

from archspec.interop.hf import qformer
from archspec.interop.hf.config import Config
from archspec.interop.hf.family import Family, HeadKind
from archspec.interop.tensor_map import TensorMap
from archspec.spec import Resolved


def to_spec(config: Config, head: HeadKind) -> dict[str, Any]:
    config.fixed("use_qformer_text_input", False)
    return qformer.spec(qformer.read(config, text=False), text=False)


def tensors(config: Config, head: HeadKind) -> TensorMap:
    return qformer.tensors(qformer.read(config, text=False), text=False)


def to_config(resolved: Resolved) -> dict[str, Any]:
    return qformer.fields(resolved, text=False)


FAMILY = Family(
    model_type="blip_2_qformer",
    spec=to_spec,
    tensors=tensors,
    config=to_config,
    heads={"Blip2QFormerModel": "none"},
    head="none",
)
