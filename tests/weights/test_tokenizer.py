"""Tokenizers built from GGUF metadata and copied from folders."""

import json
from pathlib import Path
from typing import Any

import pytest
from tokenizers import Tokenizer, pre_tokenizers
from transformers.integrations.gguf import convert_gguf_tokenizer, get_gguf_tokenizer

from archspec.errors import InputError
from archspec.interop.gguf_tokenizer import SINGLE_DIGITS, SPLITS, from_gguf
from compiler.weights.tokenizer import write_tokenizer
from tests.interop.gguf_files import write

ALPHABET = sorted(pre_tokenizers.ByteLevel.alphabet())
WORDS = ["he", "hel", "hell", "hello", "Ġhello", "12"]
MERGES = ["h e", "he l", "hel l", "hell o", "Ġ hello", "1 2"]
TOKENS = ["<s>", "</s>", "<think>", *ALPHABET, *WORDS]


def metadata(pre: str, **more: Any) -> dict[str, Any]:
    return {
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.pre": pre,
        "tokenizer.ggml.tokens": TOKENS,
        "tokenizer.ggml.merges": MERGES,
        "tokenizer.ggml.token_type": [3, 3, 4] + [1] * (len(TOKENS) - 3),
        "tokenizer.ggml.bos_token_id": 0,
        "tokenizer.ggml.eos_token_id": 1,
        **{f"tokenizer.ggml.{key}": value for key, value in more.items()},
    }


def pieces(pre: str, text: str) -> list[str]:
    return from_gguf(metadata(pre))[0].encode(text).tokens


@pytest.mark.parametrize("pre", [*SPLITS, *SINGLE_DIGITS])
def test_text_comes_back(pre: str) -> None:
    tokenizer, _ = from_gguf(metadata(pre))
    for text in ("hello hello", "  a\n\n\tb 123 + don't", "ünï 日本", ""):
        assert tokenizer.decode(tokenizer.encode(text).ids) == text


def test_digits_are_cut_as_each_model_was_trained() -> None:
    assert pieces("gpt-2", "a1212")[1:] == ["12", "12"]
    assert pieces("smollm", "a1212")[1:] == ["1", "2", "1", "2"]
    assert pieces("qwen2", "a1212")[1:] == ["1", "2", "1", "2"]
    assert pieces("llama-bpe", "a1212")[1:] == ["12", "1", "2"]  # groups of three: 121, 2
    # The space before a digit is a piece of its own where digits are cut first.
    assert pieces("smollm", "  1") == ["Ġ", "Ġ", "1"]


def test_marked_tokens_stay_whole() -> None:
    tokenizer, _ = from_gguf(metadata("gpt-2"))
    assert tokenizer.encode("<s>hello<think></s>").tokens == ["<s>", "hello", "<think>", "</s>"]
    assert tokenizer.decode(tokenizer.encode("<s>hello<think>").ids) == "hello<think>"


def test_begin_and_end_are_added_where_the_file_asks() -> None:
    both, config = from_gguf(metadata("gpt-2", add_bos_token=True, add_eos_token=True))
    assert both.encode("hello").tokens == ["<s>", "hello", "</s>"]
    assert both.encode("hello", "hello").tokens == ["<s>", "hello", "</s>", "<s>", "hello", "</s>"]
    assert from_gguf(metadata("gpt-2"))[0].encode("hello").tokens == ["hello"]
    assert (config["bos_token"], config["eos_token"]) == ("<s>", "</s>")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"model": "unigram"}, "tokenizer model 'unigram' is not understood"),
        ({"pre": "poro"}, "pre-tokenizer 'poro' is not understood"),
        ({"tokens": None}, "/tokenizer.ggml.tokens.*expected a list of strings"),
        ({"merges": 3}, "/tokenizer.ggml.merges.*expected a list of strings"),
        ({"merges": ["q z z z"]}, "tokens and merges do not fit"),
        ({"eos_token_id": 10**6}, "found 1000000, there are"),
        ({"model": "llama"}, "/tokenizer.ggml.scores.*one for each token"),
    ],
)
def test_what_is_not_understood_is_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        from_gguf(metadata("gpt-2") | {f"tokenizer.ggml.{key}": value for key, value in change.items()})


def sentencepiece(**more: Any) -> dict[str, Any]:
    """A vocabulary with merges whose order only the scores tell: "lo" is merged before "he"."""
    words = ["▁", *"helo wrd", "lo", "he", "hel", "hello", "▁hello", "▁w", "or", "▁wor", "ld", "▁world", "l▁"]
    tokens = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256)), *dict.fromkeys(words)]
    first = len(tokens) - len(dict.fromkeys(words))
    return {
        "tokenizer.ggml.model": "llama",
        "tokenizer.ggml.tokens": tokens,
        "tokenizer.ggml.scores": [0.0] * first + [-float(i) for i in range(len(tokens) - first)],
        "tokenizer.ggml.token_type": [2, 3, 3] + [6] * 256 + [1] * (len(tokens) - first),
        "tokenizer.ggml.unknown_token_id": 0,
        "tokenizer.ggml.bos_token_id": 1,
        "tokenizer.ggml.eos_token_id": 2,
        **{f"tokenizer.ggml.{key}": value for key, value in more.items()},
    }


@pytest.mark.parametrize(
    "text", ["hello world", "hello  world", "helloworld", "é hello</s>", "", "  hello", "lo lo\nworld"]
)
def test_sentencepiece_cuts_as_transformers_does(text: str, tmp_path: Path) -> None:
    path = write(tmp_path / "m.gguf", "llama", {"block_count": 1}, {}, None, sentencepiece())
    theirs = get_gguf_tokenizer(str(path))
    expected, _ = convert_gguf_tokenizer(*theirs[:2])
    ours, _ = from_gguf(sentencepiece())
    ids = ours.encode(text, add_special_tokens=False).ids
    assert ids == expected.encode(text, add_special_tokens=False).ids
    assert ours.decode(ids, skip_special_tokens=False) == expected.decode(ids, skip_special_tokens=False)


def test_sentencepiece_begins_with_the_begin_token_unless_told_not_to() -> None:
    assert from_gguf(sentencepiece())[0].encode("hello").tokens[0] == "<s>"
    assert from_gguf(sentencepiece(add_bos_token=False))[0].encode("hello").tokens[0] != "<s>"
    assert from_gguf(sentencepiece())[0].encode("hello").tokens == ["<s>", "▁hello"]
    assert from_gguf(sentencepiece(add_space_prefix=False))[0].encode("hello").tokens == ["<s>", "hello"]


def test_files_for_a_package(tmp_path: Path) -> None:
    path = write(tmp_path / "m.gguf", "llama", {}, {}, None, metadata("smollm"))
    (tmp_path / "out").mkdir()
    assert [file.name for file in write_tokenizer(path, tmp_path / "out")] == [
        "tokenizer.json",
        "tokenizer_config.json",
    ]
    assert Tokenizer.from_file(str(tmp_path / "out" / "tokenizer.json")).encode("hello").tokens == ["hello"]
    assert json.loads((tmp_path / "out" / "tokenizer_config.json").read_text())["eos_token"] == "</s>"
    (tmp_path / "copy").mkdir()
    copied = write_tokenizer(tmp_path / "out", tmp_path / "copy")
    assert all(file.read_bytes() == (tmp_path / "out" / file.name).read_bytes() for file in copied)
    with pytest.raises(InputError, match="no tokenizer files"):
        (tmp_path / "empty").mkdir()
        write_tokenizer(tmp_path / "empty", tmp_path / "copy")
