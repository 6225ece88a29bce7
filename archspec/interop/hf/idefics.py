"""IDEFICS: an image encoder, perhaps a resampler, and LLaMA with gated looks at the image before every n-th layer.

Defaults and names: transformers 5.23 `models/idefics/configuration_idefics.py` IdeficsConfig and `modeling_idefics.py`.
The spec reads one image for each text. Words added later (`additional_vocab_size`) are rows behind the others; norms of
the image encoder's output feed other models.
"""

from dataclasses import replace
from typing import Any

from archspec.interop.hf import rms_decoder, rms_tensors
from archspec.interop.hf.activations import ACTIVATIONS
from archspec.interop.hf.config import Config
from archspec.interop.hf.family import CannotSay, Family, HeadKind
from archspec.interop.hf.idefics_image import IMAGE, RESAMPLER, images, measured_images, tensors_of_images
from archspec.interop.hf.layout import entries
from archspec.interop.hf.reading import keeping, operator
from archspec.interop.hf.rms_decoder import STACK
from archspec.interop.hf.vocabulary import is_one
from archspec.interop.recipe import Concat, Recipe, Reshape, Stored
from archspec.interop.tensor_map import TensorMap
from archspec.spec import Resolved
from archspec.spec.resolved import Layer
from archspec.spec.types import Attention, LearnedGate

DEFAULTS = rms_decoder.Defaults(vocab_size=32000, d_ff=11008, max_length=2048)


def read(config: Config) -> tuple[rms_decoder.Decoder, int]:
    """The text model with all its words, and how many of those were added later."""
    decoder = rms_decoder.read(config, DEFAULTS, activation=config.word("hidden_act", "silu", ACTIVATIONS))
    config.fixed("num_key_value_heads", decoder.n_heads)
    config.fixed("head_dim", decoder.d_model // decoder.n_heads)
    added = config.integer("additional_vocab_size", 0, least=0)
    return replace(decoder, vocab_size=decoder.vocab_size + added), added


def _looks(config: Config, n_layers: int) -> list[int]:
    """Layers of the text before which there is a look at the image."""
    return list(range(0, n_layers, config.integer("cross_layer_interval", 1)))


def to_spec(config: Config, head: HeadKind) -> dict[str, Any]:
    decoder, _ = read(config)
    out = rms_decoder.spec(decoder, head)
    stack, stacks = out["stacks"][STACK], images(config)
    plain = stack["blocks"].pop("main")
    each = config.word("alpha_type", "float", {"float": "scalar", "vector": "channel"})
    gate = {"type": "learned", "fn": "tanh"} | ({"of": "channel"} if each == "channel" else {})
    look = {
        "type": "attention",
        "n_heads": decoder.n_heads,
        "source": RESAMPLER if RESAMPLER in stacks else IMAGE,
        "mask": {"type": "input", "name": "image_attention_mask"},
    }
    if config.flag("qk_layer_norms", False):
        look["qk_norm"] = {"norm": decoder.norm, "scope": "head"}
    kinds, looks = [], _looks(config, len(decoder.windows))
    for layer in range(len(decoder.windows)):
        kinds += ["look", "plain"] if layer in looks else ["plain"]
    stack["blocks"] = {
        "plain": plain,
        "look": [{"pre_norm": decoder.norm, "op": look, "gate": gate}, {**plain[1], "gate": gate}],
    }
    stack["layers"] = entries(kinds)
    out["stacks"] = {**stacks, STACK: stack}
    return out


def tensors(config: Config, head: HeadKind) -> TensorMap:
    decoder, added = read(config)
    found, looks = rms_tensors.tensors(decoder, head), _looks(config, len(decoder.windows))
    recipes: dict[str, Recipe] = tensors_of_images(config)
    place, look = 0, 0
    gate = (decoder.d_model,) if config.get("alpha_type") == "vector" else (1,)
    for layer in range(len(decoder.windows)):
        if layer in looks:
            recipes |= _look(f"{STACK}.{place}", f"model.gated_cross_attn_layers.{look}", gate, config)
            place, look = place + 1, look + 1
        own = f"{STACK}.{layer}."
        recipes |= {f"{STACK}.{place}.{path.removeprefix(own)}": recipe
                    for path, recipe in found.recipes.items() if path.startswith(own)}  # fmt: skip
        place += 1
    recipes |= {path: recipe for path, recipe in found.recipes.items() if not path.split(".")[1].isdigit()}
    words = "vocab.weight" if is_one(decoder.tied, head) else f"{STACK}.text.tokens.weight"
    copies = dict(found.copies)
    if added:
        rows = Stored("model.embed_tokens.additional_embedding.weight")
        recipes[words] = Concat((recipes[words], rows), 0)
        if "head.logits.weight" in recipes:
            more = Stored("lm_head.additional_fc.weight")
            recipes["head.logits.weight"] = Concat((recipes["head.logits.weight"], more), 0)
        elif head == "tokens":
            copies["lm_head.additional_fc.weight"] = rows.name
    unread = ("model.vision_model.post_layernorm.*", "model.vision_model.embeddings.position_ids")
    return replace(found, recipes=recipes, copies=copies, unread=(*found.unread, *unread))


def _look(ours: str, theirs: str, gate: tuple[int, ...], config: Config) -> dict[str, Recipe]:
    out: dict[str, Recipe] = {
        f"{ours}.attention.branch_gate.weight": Reshape(Stored(f"{theirs}.alpha_cross_attn"), gate),
        f"{ours}.gated_mlp.branch_gate.weight": Reshape(Stored(f"{theirs}.alpha_dense"), gate),
    }
    names = {"attention.pre_norm": "input_layernorm", "gated_mlp.pre_norm": "post_attention_layernorm"}
    names |= {f"attention.{part}": f"cross_attn.{part}_proj" for part in "qkvo"}
    names |= {f"gated_mlp.{part}": f"mlp.{part}_proj" for part in ("gate", "up", "down")}
    if config.flag("qk_layer_norms", False):
        names |= {f"attention.{part}_norm": f"cross_attn.{part}_layer_norm" for part in "qk"}
    return out | {f"{ours}.{path}.weight": Stored(f"{theirs}.{name}.weight") for path, name in names.items()}


def to_config(resolved: Resolved) -> dict[str, Any]:
    stack = resolved.stacks[resolved.output]
    if IMAGE not in resolved.stacks or any(len(body) != 2 for body in stack.bodies):
        raise CannotSay("there is an image, and a layer is one attention and one gated MLP")

    def looks(layer: Layer) -> bool:
        return operator(stack.bodies[layer.body][0], Attention).source != "self"

    decoder = rms_decoder.measure(keeping(resolved, lambda layer: not looks(layer)))
    places = [i for i, layer in enumerate(stack.layers) if looks(layer)]
    if not places:
        raise CannotSay("some layers look at the image")
    branch: Any = stack.bodies[stack.layers[places[0]].body][0]
    fields = rms_decoder.fields(decoder) | {
        "cross_layer_interval": places[1] - places[0] - 1 if len(places) > 1 else len(decoder.windows),
        "qk_layer_norms": branch.op.qk_norm is not None,
        "alpha_type": "vector" if isinstance(branch.gate, LearnedGate) and branch.gate.of == "channel" else "float",
        **measured_images(resolved),
    }
    del fields["num_key_value_heads"], fields["head_dim"]  # no fields of IdeficsConfig
    return fields


FAMILY = Family(
    model_type="idefics",
    spec=to_spec,
    tensors=tensors,
    config=to_config,
    heads={"IdeficsForVisionText2Text": "tokens", "IdeficsModel": "none"},
    inert=frozenset([
        "dropout", "alpha_initializer", "alphas_initializer_range", "freeze_text_layers", "freeze_lm_head",
        "freeze_text_module_exceptions", "freeze_vision_layers", "freeze_vision_module_exceptions", 
        "cross_layer_activation_function", "max_sequence_length", "word_embed_proj_dim",
    ]),
)  # fmt: skip
