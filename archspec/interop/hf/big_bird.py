"""BigBird: BERT whose blocks see their neighbours, the first and the last block, and in training some at random.

Defaults: transformers 5.23 `models/big_bird/configuration_big_bird.py` BigBirdConfig. The spec says what that code
computes outside training: its random blocks are then all the first block, which so counts 1 + num_random_blocks times
in the softmax of all blocks but the first and the last; a key counted n times is a bias of log n. Short texts are seen
whole.
"""

from typing import Any

from archspec.interop.hf import bert, encoder
from archspec.interop.hf.config import Config
from archspec.interop.hf.encoder import STACK, attention_of
from archspec.interop.hf.family import Family, HeadKind
from archspec.interop.hf.reading import expect, operator
from archspec.interop.tensor_map import TensorMap
from archspec.spec import Resolved
from archspec.spec.types import Attention, BiasWhere, ByLength, Keys, Or, Tokens

PROJECTIONS = ("q", "k", "v")


def read(config: Config) -> encoder.Encoder:
    config.fixed("is_decoder", False)
    return encoder.read(config, vocab_size=50358, max_position_embeddings=4096, hidden_act="gelu_new")


def _sparse(config: Config) -> tuple[int, int] | None:
    """Block size and random blocks; None where every word sees every other."""
    kinds = {"block_sparse": "sparse", "original_full": "full"}
    kind = config.word("attention_type", "block_sparse", kinds)
    block, count = config.integer("block_size", 64), config.integer("num_random_blocks", 3)
    return (block, count) if kind == "sparse" else None


def _attention(block: int, count: int) -> dict[str, Any]:
    ends: list[dict[str, Any]] = [
        {"type": "first", "count": block},
        {"type": "last", "count": 1, "block": block},  # that code fills it up with padding
    ]
    up_to = block * (5 + 2 * count)
    queries = [{"type": "queries", "of": end} for end in ends]
    blocks = [
        {"type": "window", "behind": 2, "ahead": 1, "block": block},
        *({"type": "keys", "of": end} for end in ends),
        *queries,
    ]
    again = [{"type": "keys", "of": ends[0]}, {"type": "not", "of": {"type": "or", "of": queries}}]
    none = {"type": "not", "of": "full"}
    return {
        "mask": {"type": "by_length", "up_to": up_to, "then": "full", "otherwise": {"type": "or", "of": blocks}},
        "position": [
            {
                "type": "bias_where",
                "mask": {"type": "by_length", "up_to": up_to, "then": none, "otherwise": {"type": "and", "of": again}},
                "add": f"=log(1+{count})",
            }
        ],
    }


def to_spec(config: Config, head: HeadKind) -> dict[str, Any]:
    out, sparse = encoder.spec(read(config), head), _sparse(config)
    attention = attention_of(out)
    if sparse:
        attention |= _attention(*sparse)
    if not config.flag("use_bias", True):
        attention["bias"] = ["o"]
    if config.flag("rescale_embeddings", False):
        out["stacks"][STACK]["input"]["sum"][0]["scale"] = "=sqrt(d_model)"
    return out


def tensors(config: Config, head: HeadKind) -> TensorMap:
    found = encoder.tensors(read(config), head, "bert.", bert.NAMES)
    if config.flag("use_bias", True):
        return found
    without = tuple(f".attention.{part}.bias" for part in PROJECTIONS)
    recipes = {path: recipe for path, recipe in found.recipes.items() if not path.endswith(without)}
    return TensorMap(recipes, found.prefix, found.unread, found.copies, found.old_endings)


def to_config(resolved: Resolved) -> dict[str, Any]:
    fields = bert.to_config(resolved)
    stack = resolved.stacks[resolved.output]
    attention = operator(stack.bodies[0][0], Attention)
    fields |= {
        "attention_type": "original_full",
        "use_bias": "q" in attention.bias,
        "rescale_embeddings": expect(Tokens, stack.inputs[0].sum[0], "the first part").scale != 1,
    }
    if isinstance(attention.mask, ByLength):
        keys = next(m for m in expect(Or, attention.mask.otherwise, "the mask of long texts").of if isinstance(m, Keys))
        block: int = keys.of.count  # type: ignore[union-attr]
        expect(BiasWhere, attention.position[0] if attention.position else None, "the position")
        count = (attention.mask.up_to // block - 5) // 2
        fields |= {"attention_type": "block_sparse", "block_size": block, "num_random_blocks": count}
    return fields


FAMILY = Family(
    model_type="big_bird",
    spec=to_spec,
    tensors=tensors,
    config=to_config,
    heads={"BigBirdForMaskedLM": "tokens", "BigBirdModel": "none", "BigBirdForPreTraining": "tokens"},
)
