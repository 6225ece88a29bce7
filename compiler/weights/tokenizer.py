"""The tokenizer that belongs to weights, put into a package folder: copied, or built from a GGUF file."""

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tokenizers import AddedToken, Regex, Tokenizer, decoders, pre_tokenizers, processors
from tokenizers.models import BPE

from archspec.errors import InputError
from archspec.interop.gguf_file import is_gguf, read_gguf

# Copied as they are when they lie beside the weights.
FILES = (
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "chat_template.jinja",
    "generation_config.json",
    "vocab.json",
    "merges.txt",
    "vocab.txt",
    "tokenizer.model",
)

_CONTROL, _USER_DEFINED = 3, 4  # values of tokenizer.ggml.token_type

# How text is cut before merges apply, by `tokenizer.ggml.pre`. Sources: the expressions of llama.cpp `llama-vocab.cpp`
# (llm_tokenizer_bpe) and the tokenizer.json of the models named there; None is GPT-2's own expression.
_LLAMA3 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
_QWEN2 = _LLAMA3.replace(r"\p{N}{1,3}", r"\p{N}")
SPLITS: Mapping[str, str | None] = {
    "default": None,
    "gpt-2": None,
    "llama-bpe": _LLAMA3,
    "llama3": _LLAMA3,
    "llama-v3": _LLAMA3,
    "smaug-bpe": _LLAMA3,
    "qwen2": _QWEN2,
    "deepseek-r1-qwen": _QWEN2,
}
# Every digit is a token of its own, then GPT-2's expression.
SINGLE_DIGITS = ("smollm", "starcoder", "refact", "command-r", "codeshell", "exaone")


def write_tokenizer(source: Path, folder: Path) -> list[Path]:
    """Tokenizer files for `folder` from a folder or GGUF file; what was written. InputError if there is none."""
    if source.is_dir():
        found = [source / name for name in FILES if (source / name).is_file()]
        if not found:
            raise InputError("no tokenizer files", source=str(source))
        return [Path(shutil.copyfile(file, folder / file.name)) for file in found]
    if not is_gguf(source):
        raise InputError("neither a folder nor a GGUF file, so there is no tokenizer", source=str(source))
    metadata = read_gguf(source).metadata
    tokenizer, config = from_gguf(metadata, str(source))
    files = [folder / "tokenizer.json", folder / "tokenizer_config.json"]
    tokenizer.save(str(files[0]))
    files[1].write_text(json.dumps(config, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    return files


def from_gguf(metadata: Mapping[str, Any], source: str = "") -> tuple[Tokenizer, dict[str, Any]]:
    """The byte-level BPE tokenizer that the metadata describes, and the fields of tokenizer_config.json."""
    kind, pre = metadata.get("tokenizer.ggml.model"), metadata.get("tokenizer.ggml.pre", "default")
    if kind != "gpt2":
        raise InputError(f"tokenizer model {kind!r} is not understood; byte-level BPE ('gpt2') is", source=source)
    if pre not in SPLITS and pre not in SINGLE_DIGITS:
        known = ", ".join(sorted([*SPLITS, *SINGLE_DIGITS]))
        raise InputError(f"pre-tokenizer {pre!r} is not understood; there are {known}", source=source)
    tokens: list[str] = metadata["tokenizer.ggml.tokens"]
    merges = [tuple(merge.split(" ", 1)) for merge in metadata["tokenizer.ggml.merges"]]
    # Llama 3's merges were made by another program: a whole word that is a token is taken without merging.
    whole_words = SPLITS.get(pre) is _LLAMA3
    tokenizer = Tokenizer(BPE({token: i for i, token in enumerate(tokens)}, merges, ignore_merges=whole_words))
    tokenizer.pre_tokenizer = _pre_tokenizer(pre)
    tokenizer.decoder = decoders.ByteLevel()
    types = metadata.get("tokenizer.ggml.token_type", [])
    special = [token for token, number in zip(tokens, types, strict=False) if number == _CONTROL]
    whole = [token for token, number in zip(tokens, types, strict=False) if number == _USER_DEFINED]
    tokenizer.add_special_tokens([AddedToken(token, normalized=False, special=True) for token in special])
    tokenizer.add_tokens([AddedToken(token, normalized=False, special=False) for token in whole])

    def token_of(kind: str) -> str | None:
        number = metadata.get(f"tokenizer.ggml.{kind}_token_id")
        return None if number is None else tokens[number]

    config: dict[str, Any] = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "clean_up_tokenization_spaces": False,
        "bos_token": token_of("bos"),
        "eos_token": token_of("eos"),
        "unk_token": token_of("unknown"),
        "pad_token": token_of("padding"),
        "chat_template": metadata.get("tokenizer.chat_template"),
    }
    config = {key: value for key, value in config.items() if value is not None}
    tokenizer.post_processor = _post_processor(metadata, token_of("bos"), token_of("eos"))
    return tokenizer, config


def _pre_tokenizer(pre: str) -> pre_tokenizers.PreTokenizer:
    if pre in SINGLE_DIGITS:
        digits = pre_tokenizers.Digits(individual_digits=True)
        return pre_tokenizers.Sequence([digits, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)])
    expression = SPLITS[pre]
    if expression is None:
        return pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    split = pre_tokenizers.Split(Regex(expression), behavior="isolated")
    return pre_tokenizers.Sequence([split, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])


def _post_processor(metadata: Mapping[str, Any], bos: str | None, eos: str | None) -> processors.PostProcessor:
    """Begin and end tokens where the file asks for them, offsets without the leading space."""
    trimmed = processors.ByteLevel(trim_offsets=False)
    first = bos if metadata.get("tokenizer.ggml.add_bos_token") else None
    last = eos if metadata.get("tokenizer.ggml.add_eos_token") else None
    if first is None and last is None:
        return trimmed
    ids = {token: metadata["tokenizer.ggml.tokens"].index(token) for token in (first, last) if token is not None}
    single = [token for token in (first, "$A", last) if token is not None]
    pair = [
        token
        for token in (first, "$A", last, first and f"{first}:1", "$B:1", last and f"{last}:1")
        if token is not None
    ]
    return processors.Sequence(
        [trimmed, processors.TemplateProcessing(single=single, pair=pair, special_tokens=list(ids.items()))]
    )
