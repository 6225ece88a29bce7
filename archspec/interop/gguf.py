"""GGUF: metadata -> a spec, and its tensor names -> our parameter paths.

Keys and names: https://github.com/ggml-org/llama.cpp `gguf-py/gguf/constants.py`; what the converter does to the
tensors: `convert_hf_to_gguf.py` there.
"""

from collections import Counter
from collections.abc import Mapping
from math import prod
from typing import Any

from archspec.errors import InputError
from archspec.interop import gguf_decoder, gguf_gpt2
from archspec.interop.gguf_file import GgufFile
from archspec.interop.hf import gpt2, rms_decoder
from archspec.interop.recipe import sources
from archspec.interop.tensor_map import TensorMap

ARCHITECTURES = ("llama", "qwen2", "qwen3", "gpt2")


def to_spec(file: GgufFile, name: str) -> dict[str, Any]:
    """The whole spec; InputError names an architecture or a key that is not understood."""
    architecture = _architecture(file)
    body = (
        gpt2.spec(gguf_gpt2.read(file), "tokens")
        if architecture == "gpt2"
        else rms_decoder.spec(gguf_decoder.read(file, architecture), "tokens")
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
        return gguf_gpt2.tensors(gguf_gpt2.read(file))
    return gguf_decoder.tensors(file, architecture)


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


def _small(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """Everything but the vocabulary: lists of more than 64 entries stay in the file."""
    return {key: value for key, value in metadata.items() if not isinstance(value, list) or len(value) <= 64}
