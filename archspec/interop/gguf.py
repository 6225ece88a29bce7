"""GGUF: metadata -> a spec, and its tensor names -> our parameter paths.

Keys and names: https://github.com/ggml-org/llama.cpp `gguf-py/gguf/constants.py`; what the converter does to the
tensors: `convert_hf_to_gguf.py` there.
"""

import struct
from collections import Counter
from collections.abc import Mapping
from math import prod
from typing import Any

from archspec.errors import InputError
from archspec.interop.gguf_file import GgufFile
from archspec.interop.gguf_scaling import rope_scaling
from archspec.interop.hf import gpt2, rms_decoder, rms_tensors
from archspec.interop.hf.config import Config
from archspec.interop.recipe import PermuteRope, Recipe, Slice, Stored, sources, substitute
from archspec.interop.tensor_map import TensorMap, per_layer

ARCHITECTURES = ("llama", "qwen2", "qwen3", "gpt2")

# Keys of the architecture that change nothing in the computation.
INERT = ("rope.scaling.finetuned", "tensor_data_layout", "attention.value_length", "vocab_size")

_DECODER_NAMES = {
    "model.embed_tokens": "token_embd",
    "model.norm": "output_norm",
    "lm_head": "output",
    "input_layernorm": "attn_norm",
    "post_attention_layernorm": "ffn_norm",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "self_attn.q_norm": "attn_q_norm",
    "self_attn.k_norm": "attn_k_norm",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}


def to_spec(file: GgufFile, name: str) -> dict[str, Any]:
    """The whole spec; InputError names an architecture or a key that is not understood."""
    architecture = _architecture(file)
    body = (
        gpt2.spec(_gpt2(file), "tokens")
        if architecture == "gpt2"
        else rms_decoder.spec(_decoder(file, architecture), "tokens")
    )
    origin = {"format": "gguf", "metadata": _small(file.metadata), "token_ids": token_ids(file.metadata)}
    source = file.metadata.get("general.name") or file.path.stem
    precision = {"weights": stored_types(file)}
    return {"archspec": 1, "name": name, "source": f"GGUF: {source}", **body, "precision": precision, "origin": origin}


def stored_types(file: GgufFile) -> dict[str, str]:
    """Types of the weights by our paths: the commonest as "default", then what differs, as a pattern over the layers
    where all of them agree."""
    types: dict[str, str] = {}
    elements: Counter[str] = Counter()
    for path, recipe in tensors(file).recipes.items():
        # A tensor that the file lacks is told when the weights are read.
        if found := [file.tensors[name] for name in sources(recipe) if name in file.tensors]:
            types[path] = TYPES.get(found[0].type, found[0].type.lower())
            elements[types[path]] += prod(found[0].shape)
    default = elements.most_common(1)[0][0]
    parts: dict[str, set[str]] = {}  # "attention.q.weight" -> its types over the layers
    for path, kind in types.items():
        parts.setdefault(_part(path), set()).add(kind)
    out = {"default": default}
    for path, kind in types.items():
        part = _part(path)
        if parts[part] == {kind} and kind != default:
            out[part if part == path else f"*.{part}"] = kind
        elif kind != default:
            out[path] = kind
    return out


def _part(path: str) -> str:
    """A path in a layer without its stack and number."""
    _, _, rest = path.partition(".")
    number, _, part = rest.partition(".")
    return part if number.isdigit() else path


TYPES = {"F64": "fp64", "F32": "fp32", "F16": "fp16", "BF16": "bf16"}  # the others are ours in lower case


def tensors(file: GgufFile) -> TensorMap:
    architecture = _architecture(file)
    if architecture == "gpt2":
        return _gpt2_tensors(_gpt2(file))
    decoder = _decoder(file, architecture)
    theirs = rms_tensors.tensors(decoder, "tokens")
    recipes = {
        path: substitute(recipe, lambda name: Stored(_decoder_name(name))) for path, recipe in theirs.recipes.items()
    }
    if architecture == "llama":
        # The converter permutes q and k of this architecture so that ggml can rotate neighbouring rows. We rotate
        # halves and turn the rows back: then the spec, its hash and its tensors are those of the Hugging Face folder,
        # and kernels that only know halves apply. The other architectures are stored unpermuted.
        for path, recipe in recipes.items():
            part = path.split(".")[-2]
            if ".attention." in path and part in ("q", "k"):
                recipes[path] = PermuteRope(recipe, decoder.n_heads if part == "q" else decoder.n_kv_heads, "half")
    # rope_freqs holds the divisors of a scaled rotation; the spec says them in words.
    return TensorMap(recipes, unread=("rope_freqs.weight", "blk.*.attn_rot_embd"))


def token_ids(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """Beginning, end and padding ids, as far as the file has them; a chat's end of turn is an end too."""
    ids: dict[str, Any] = {}
    for ours, theirs in {"bos": "bos", "pad": "padding"}.items():
        if (found := metadata.get(f"tokenizer.ggml.{theirs}_token_id")) is not None:
            ids[ours] = found
    ends = [metadata.get(f"tokenizer.ggml.{kind}_token_id") for kind in ("eos", "eot", "eom")]
    if found_ends := list(dict.fromkeys(end for end in ends if end is not None)):
        ids["eos"] = found_ends
    return ids


def _architecture(file: GgufFile) -> str:
    architecture = file.metadata.get("general.architecture")
    if architecture not in ARCHITECTURES:
        raise InputError(
            f"GGUF architecture {architecture!r} has no importer; there are {', '.join(ARCHITECTURES)}",
            source=str(file.path),
            path="/general.architecture",
        )
    if file.metadata.get("split.count", 0) > 1:
        raise InputError(
            "the file is one part of a split GGUF; join the parts with llama-gguf-split --merge first",
            source=str(file.path),
        )
    return str(architecture)


class _Metadata(Config):
    """The keys of one architecture without its name; numbers in single precision become the decimals they mean."""

    def __init__(self, file: GgufFile, architecture: str) -> None:
        prefix = architecture + "."
        own = {key.removeprefix(prefix): value for key, value in file.metadata.items() if key.startswith(prefix)}
        super().__init__({key: _shortest(v) if isinstance(v, float) else v for key, v in own.items()}, str(file.path))
        self.prefix = prefix

    def fail(self, name: str, message: str) -> InputError:
        return super().fail(self.prefix + name, message)


def _decoder(file: GgufFile, architecture: str) -> rms_decoder.Decoder:
    keys = _Metadata(file, architecture)
    keys.fixed("expert_count", 0)
    keys.fixed("attention.causal", True)
    embedding = _tensor_shape(file, "token_embd.weight")
    d_model, n_heads = keys.integer("embedding_length"), keys.integer("attention.head_count")
    d_head = keys.integer("attention.key_length", d_model // n_heads)
    rotated = keys.integer("rope.dimension_count", d_head)
    if keys.integer("attention.value_length", d_head) != d_head or rotated != d_head:
        raise keys.fail(
            "rope.dimension_count",
            f"heads of {d_head} with {rotated} rotated and values of another size are not understood",
        )
    n_layers, max_length = keys.layers("block_count"), keys.integer("context_length")
    rope: dict[str, Any] = {"type": "rope", "theta": keys.number("rope.freq_base", 10000.0)}
    if scaling := rope_scaling(file, keys, rope["theta"], d_head, max_length):
        rope["scaling"] = scaling
    decoder = rms_decoder.Decoder(
        vocab_size=embedding[0],
        max_length=max_length,
        d_model=d_model,
        d_ff=keys.integer("feed_forward_length"),
        n_heads=n_heads,
        n_kv_heads=keys.integer("attention.head_count_kv", n_heads),
        d_head=d_head,
        eps=keys.number("attention.layer_norm_rms_epsilon"),
        activation="silu",
        rope=rope,
        tied="output.weight" not in file.tensors,
        windows=(None,) * n_layers,
        # What the metadata does not say the tensors do.
        attention_bias=tuple(part for part, name in _PARTS.items() if f"blk.0.{name}.bias" in file.tensors),
        mlp_bias="blk.0.ffn_up.bias" in file.tensors,
        qk_norm="head" if "blk.0.attn_q_norm.weight" in file.tensors else None,
    )
    keys.finish(INERT)
    return decoder


_PARTS = {"q": "attn_q", "k": "attn_k", "v": "attn_v", "o": "attn_output"}


def _gpt2(file: GgufFile) -> gpt2.Gpt2:
    keys = _Metadata(file, "gpt2")
    model = gpt2.Gpt2(
        vocab_size=_tensor_shape(file, "token_embd.weight")[0],
        max_length=_tensor_shape(file, "position_embd.weight")[0],
        d_model=keys.integer("embedding_length"),
        d_ff=keys.integer("feed_forward_length"),
        n_layers=keys.layers("block_count"),
        n_heads=keys.integer("attention.head_count"),
        eps=keys.number("attention.layer_norm_epsilon"),
        activation="gelu_tanh",
        scale=None,
        tied="output.weight" not in file.tensors,
    )
    keys.fixed("attention.head_count_kv", model.n_heads)
    keys.integer("context_length", model.max_length)
    keys.finish(INERT)
    return model


def _gpt2_tensors(model: gpt2.Gpt2) -> TensorMap:
    ours, layer = f"{gpt2.STACK}.{{}}", "blk.{}"
    templates: dict[str, Recipe] = {}
    names = {
        "attention.o": "attn_output",
        "mlp.up": "ffn_up",
        "mlp.down": "ffn_down",
        "attention.pre_norm": "attn_norm",
        "mlp.pre_norm": "ffn_norm",
    }
    for role in ("weight", "bias"):
        for i, part in enumerate(("q", "k", "v")):
            # The converter has turned Conv1D's weights, so outputs are axis 0 of both.
            joined = Stored(f"{layer}.attn_qkv.{role}")
            templates[f"{ours}.attention.{part}.{role}"] = Slice(joined, 0, i * model.d_model, (i + 1) * model.d_model)
        templates |= {f"{ours}.{path}.{role}": Stored(f"{layer}.{name}.{role}") for path, name in names.items()}
    recipes: dict[str, Recipe] = {
        "vocab.weight" if model.tied else f"{gpt2.STACK}.text.tokens.weight": Stored("token_embd.weight"),
        f"{gpt2.STACK}.text.learned.weight": Stored("position_embd.weight"),
        **per_layer(model.n_layers, templates),
        **{f"{gpt2.STACK}.final_norm.{role}": Stored(f"output_norm.{role}") for role in ("weight", "bias")},
    }
    if not model.tied:
        recipes["head.logits.weight"] = Stored("output.weight")
    return TensorMap(recipes)


def _decoder_name(name: str) -> str:
    stem, _, role = name.rpartition(".")
    if stem.startswith("model.layers."):
        _, _, layer, rest = stem.split(".", 3)
        return f"blk.{layer}.{_DECODER_NAMES[rest]}.{role}"
    return f"{_DECODER_NAMES[stem]}.{role}"


def _tensor_shape(file: GgufFile, name: str) -> tuple[int, ...]:
    if name not in file.tensors:
        raise InputError(f"the tensor {name} is missing", source=str(file.path))
    return file.tensors[name].shape


def _shortest(value: float) -> float:
    """The shortest decimal that is this number in single precision: 9.999999747378752e-06 -> 1e-05."""
    single = struct.pack("<f", value)
    if struct.unpack("<f", single)[0] != value:
        return value  # it was stored in double precision
    for digits in range(1, 10):
        short = float(f"{value:.{digits}g}")
        if struct.pack("<f", short) == single:
            return short
    return value


def _small(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """Everything but the vocabulary: lists of more than 64 entries stay in the file."""
    return {key: value for key, value in metadata.items() if not isinstance(value, list) or len(value) <= 64}
