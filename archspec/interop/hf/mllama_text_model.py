"""The text model of Llama 3.2 Vision: LLaMA some of whose layers look at the image in place of the text.

Defaults: transformers 5.23 `models/mllama/configuration_mllama.py` MllamaTextConfig. The table of words has eight rows
more than there are logits. Which row sees which part of the image is an input; one that sees none attends to all of it
and skips the MLP (`MllamaCrossAttentionDecoderLayer`).
"""

from dataclasses import replace
from typing import Any

from archspec.interop.hf import rms_decoder, rms_tensors
from archspec.interop.hf.config import Config
from archspec.interop.hf.family import CannotSay, Family, HeadKind
from archspec.interop.hf.layout import entries
from archspec.interop.hf.reading import expect, keeping, operator
from archspec.interop.hf.rms_decoder import STACK
from archspec.interop.recipe import Stored
from archspec.interop.tensor_map import TensorMap
from archspec.spec import Resolved
from archspec.spec.resolved import Layer
from archspec.spec.types import Attention, Tokens

DEFAULTS = rms_decoder.Defaults(
    vocab_size=128256, d_ff=14336, max_length=131072, n_kv_heads=8, n_layers=40, eps=1e-5, theta=500000.0
)
LOOKS = [3, 8, 13, 18, 23, 28, 33, 38]
MORE_WORDS = 8
IMAGE = "vision"


def _looks(config: Config, n_layers: int) -> list[int]:
    said = config.get("cross_attention_layers", LOOKS)
    if not isinstance(said, list) or not all(isinstance(i, int) and not isinstance(i, bool) and i >= 0 for i in said):
        raise config.fail("cross_attention_layers", f"found {said!r}, expected a list of layer numbers")
    return [layer for layer in range(n_layers) if layer in said]


def read(config: Config) -> rms_decoder.Decoder:
    config.fixed("tie_word_embeddings", False)
    decoder = rms_decoder.read(config, DEFAULTS)
    config.fixed("head_dim", decoder.d_model // decoder.n_heads)
    return decoder


def to_spec(config: Config, head: HeadKind) -> dict[str, Any]:
    decoder = read(config)
    out, looks = rms_decoder.spec(decoder, head), _looks(config, len(decoder.windows))
    stack = out["stacks"][STACK]
    stack["input"]["sum"] = [{"type": "tokens", "size": decoder.vocab_size + MORE_WORDS}]
    plain = stack["blocks"].pop("main")
    gate = {"type": "learned", "fn": "tanh"}
    own = {name: value for name, value in plain[0]["op"].items() if name not in ("mask", "position")}
    look = own | {
        "source": IMAGE,
        "mask": {"type": "input", "name": "cross_attention_mask"},
        "qk_norm": {"norm": decoder.norm, "scope": "head"},
        "empty_rows": "all",
    }
    blocks = {
        "plain": plain,
        "look": [
            {"pre_norm": decoder.norm, "op": look, "gate": gate},
            {"rows": {"type": "sees", "source": IMAGE}, **plain[1], "gate": gate},
        ],
    }
    kinds = ["look" if layer in looks else "plain" for layer in range(len(decoder.windows))]
    stack |= {"blocks": {kind: blocks[kind] for kind in dict.fromkeys(kinds)}, "layers": entries(kinds)}
    image = {"type": "features", "name": "cross_attention_states", "width": decoder.d_model}
    vision = {"d_model": decoder.d_model, "input": {"name": "image", "sum": [image]}}
    out["stacks"] = {**({IMAGE: vision} if looks else {}), STACK: stack}
    return out


def tensors(config: Config, head: HeadKind) -> TensorMap:
    decoder = read(config)
    found = rms_tensors.tensors(decoder, head)
    recipes = dict(found.recipes)
    for layer in _looks(config, len(decoder.windows)):
        ours, theirs = f"{STACK}.{layer}", f"model.layers.{layer}"
        for part in "qkvo":
            recipes[f"{ours}.attention.{part}.weight"] = Stored(f"{theirs}.cross_attn.{part}_proj.weight")
        for part in "qk":
            recipes[f"{ours}.attention.{part}_norm.weight"] = Stored(f"{theirs}.cross_attn.{part}_norm.weight")
        recipes[f"{ours}.attention.branch_gate.weight"] = Stored(f"{theirs}.cross_attn_attn_gate")
        recipes[f"{ours}.gated_mlp.branch_gate.weight"] = Stored(f"{theirs}.cross_attn_mlp_gate")
    return replace(found, recipes=recipes)


def to_config(resolved: Resolved) -> dict[str, Any]:
    stack = resolved.stacks[resolved.output]
    if any(len(body) != 2 for body in stack.bodies):
        raise CannotSay("a layer is one attention and one gated MLP")

    def looks(layer: Layer) -> bool:
        return operator(stack.bodies[layer.body][0], Attention).source != "self"

    decoder = rms_decoder.measure(keeping(resolved, lambda layer: not looks(layer)))
    words = expect(Tokens, stack.inputs[0].sum[0], "the input")
    if words.size != (resolved.vocab_size or 0) + MORE_WORDS:
        raise CannotSay("there are eight words more than logits")
    fields = rms_decoder.fields(decoder) | {
        "num_hidden_layers": len(stack.layers),
        "cross_attention_layers": [i for i, layer in enumerate(stack.layers) if looks(layer)],
    }
    if decoder.d_head * decoder.n_heads == decoder.d_model:
        del fields["head_dim"]  # not a field of MllamaTextConfig
    if decoder.vocab_size <= 128004:
        fields["pad_token_id"] = None  # the default would be no row of the table
    return fields


FAMILY = Family(
    model_type="mllama_text_model",
    spec=to_spec,
    tensors=tensors,
    config=to_config,
    heads={"MllamaForCausalLM": "tokens", "MllamaTextModel": "none"},
    inert=frozenset({"dropout"}),
)
