"""RoBERTa: BERT with positions counted over real ids, a table that starts at the padding id, and erf-GELU in its head.

Defaults: transformers 5.23 `models/roberta/configuration_roberta.py` RobertaConfig; positions:
`create_position_ids_from_input_ids` in `modeling_roberta.py`.
"""

from typing import Any

from archspec.interop.hf import encoder
from archspec.interop.hf.config import Config
from archspec.interop.hf.family import CannotSay, Family, HeadKind
from archspec.interop.tensor_map import TensorMap
from archspec.spec import Resolved

NAMES = encoder.HeadNames(
    dense="lm_head.dense", norm="lm_head.layer_norm", decoder="lm_head.decoder", bias="lm_head.bias"
)


def read(config: Config, **defaults: Any) -> encoder.Encoder:
    pad_id = config.integer("pad_token_id", 1, least=0)
    return encoder.read(config, pad_id=pad_id, head_activation="gelu", **{"vocab_size": 50265} | defaults)


def to_spec(config: Config, head: HeadKind) -> dict[str, Any]:
    return encoder.spec(read(config), head)


def tensors(config: Config, head: HeadKind) -> TensorMap:
    return encoder.tensors(read(config), head, "roberta.", NAMES)


def to_config(resolved: Resolved) -> dict[str, Any]:
    positions = resolved.stacks[resolved.output].inputs[0].positions
    if positions.type != "count_nonpad":
        raise CannotSay("positions are counted over real ids")
    return encoder.fields(resolved) | {"pad_token_id": positions.pad_id}


FAMILY = Family(
    model_type="roberta",
    spec=to_spec,
    tensors=tensors,
    config=to_config,
    heads={"RobertaModel": "none", "RobertaForMaskedLM": "tokens", "RobertaForCausalLM": "tokens"},
)
