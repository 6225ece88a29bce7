"""Tokenizers from the metadata of a GGUF file: byte-level BPE ("gpt2") and SentencePiece BPE ("llama").

How each cuts text follows llama.cpp `src/llama-vocab.cpp` and the tokenizer.json of the models that it names.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from tokenizers import AddedToken, Regex, Tokenizer, decoders, pre_tokenizers, processors
from tokenizers.models import BPE

from archspec.errors import InputError

_CONTROL, _USER_DEFINED = 3, 4  # values of tokenizer.ggml.token_type

# How text is cut before merges apply, by `tokenizer.ggml.pre`; None is GPT-2's own expression.
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


class _Metadata:
    """The keys `tokenizer.ggml.*`, checked as they are read."""

    def __init__(self, metadata: Mapping[str, Any], source: str) -> None:
        self.metadata, self.source = metadata, source
        self.tokens = self.strings("tokens")

    def get(self, name: str, default: Any = None) -> Any:
        return self.metadata.get(f"tokenizer.ggml.{name}", default)

    def fail(self, name: str, message: str) -> InputError:
        return InputError(message, source=self.source, path=f"/tokenizer.ggml.{name}")

    def strings(self, name: str) -> list[str]:
        found = self.get(name)
        if not isinstance(found, list) or not all(isinstance(item, str) for item in found):
            raise self.fail(name, "expected a list of strings; the file holds no usable tokenizer")
        return found

    def token_of(self, kind: str) -> str | None:
        """The token of `<kind>_token_id`."""
        number = self.get(f"{kind}_token_id")
        if number is None:
            return None
        if not isinstance(number, int) or not 0 <= number < len(self.tokens):
            raise self.fail(f"{kind}_token_id", f"found {number!r}, there are {len(self.tokens)} tokens")
        return self.tokens[number]


def from_gguf(metadata: Mapping[str, Any], source: str = "") -> tuple[Tokenizer, dict[str, Any]]:
    """The tokenizer that the metadata describes, and the fields of tokenizer_config.json."""
    keys = _Metadata(metadata, source)
    kind = keys.get("model")
    if kind not in ("gpt2", "llama"):
        raise keys.fail("model", f"tokenizer model {kind!r} is not understood; 'gpt2' and 'llama' are")
    tokenizer = _byte_level(keys) if kind == "gpt2" else _sentencepiece(keys)
    types = keys.get("token_type", [])
    special = [token for token, number in zip(keys.tokens, types, strict=False) if number == _CONTROL]
    whole = [token for token, number in zip(keys.tokens, types, strict=False) if number == _USER_DEFINED]
    tokenizer.add_special_tokens([AddedToken(token, normalized=False, special=True) for token in special])
    tokenizer.add_tokens([AddedToken(token, normalized=False, special=False) for token in whole])
    # Without the key llama.cpp puts the begin token before SentencePiece text, and nothing before other text.
    first = keys.token_of("bos") if keys.get("add_bos_token", kind == "llama") else None
    last = keys.token_of("eos") if keys.get("add_eos_token") else None
    if template := _template(keys.tokens, first, last):
        own = tokenizer.post_processor
        tokenizer.post_processor = template if own is None else processors.Sequence([own, template])
    fields = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "clean_up_tokenization_spaces": False,
        "bos_token": keys.token_of("bos"),
        "eos_token": keys.token_of("eos"),
        "unk_token": keys.token_of("unknown"),
        "pad_token": keys.token_of("padding"),
        "chat_template": metadata.get("tokenizer.chat_template"),
    }
    return tokenizer, {key: value for key, value in fields.items() if value is not None}


def _byte_level(keys: _Metadata) -> Tokenizer:
    """Every byte is spelled as a visible character; merges come with the file."""
    pre = keys.get("pre", "default")
    if pre not in SPLITS and pre not in SINGLE_DIGITS:
        known = ", ".join(sorted([*SPLITS, *SINGLE_DIGITS]))
        raise keys.fail("pre", f"pre-tokenizer {pre!r} is not understood; there are {known}")
    parts = [merge.partition(" ") for merge in keys.strings("merges")]
    merges = [(left, right) for left, _, right in parts]
    # Llama 3's merges were made by another program: a whole word that is a token is taken without merging.
    whole_words = SPLITS.get(pre) is _LLAMA3
    tokenizer = _built(keys, lambda ids: BPE(ids, merges, ignore_merges=whole_words))
    tokenizer.pre_tokenizer = _pre_tokenizer(pre)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.post_processor = processors.ByteLevel(trim_offsets=False)
    return tokenizer


def _sentencepiece(keys: _Metadata) -> Tokenizer:
    """Spaces are "▁", unknown characters their bytes; the pair whose token scores best is merged first."""
    scores = keys.get("scores")
    if not isinstance(scores, list) or len(scores) != len(keys.tokens):
        raise keys.fail("scores", f"expected {len(keys.tokens)} scores, one for each token")
    ids = {token: i for i, token in enumerate(keys.tokens)}
    pairs = [
        (-score, len(token[:cut]), token[:cut], token[cut:])
        for token, score in zip(keys.tokens, scores, strict=True)
        for cut in range(1, len(token))
        if token[:cut] in ids and token[cut:] in ids
    ]
    merges = [(left, right) for _, _, left, right in sorted(pairs, key=lambda pair: pair[:2])]
    tokenizer = _built(
        keys, lambda ids: BPE(ids, merges, unk_token=keys.token_of("unknown"), fuse_unk=True, byte_fallback=True)
    )
    spaced = bool(keys.get("add_space_prefix", True))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace("▁", "first" if spaced else "never", split=False)
    steps: list[Any] = [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()]
    tokenizer.decoder = decoders.Sequence([*steps, decoders.Strip(" ", 1, 0)] if spaced else steps)
    return tokenizer


def _built(keys: _Metadata, model: Any) -> Tokenizer:
    try:
        return Tokenizer(model({token: i for i, token in enumerate(keys.tokens)}))
    except Exception as error:  # the library raises Exception itself
        raise keys.fail("merges", f"tokens and merges do not fit: {error}") from None


def _pre_tokenizer(pre: str) -> pre_tokenizers.PreTokenizer:
    if pre in SINGLE_DIGITS:
        digits = pre_tokenizers.Digits(individual_digits=True)
        return pre_tokenizers.Sequence([digits, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)])
    expression = SPLITS[pre]
    if expression is None:
        return pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    split = pre_tokenizers.Split(Regex(expression), behavior="isolated")
    return pre_tokenizers.Sequence([split, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])


def _template(tokens: Sequence[str], first: str | None, last: str | None) -> processors.PostProcessor | None:
    """Begin and end tokens around each text; None if there are none."""
    if first is None and last is None:
        return None
    ids = [(token, tokens.index(token)) for token in dict.fromkeys((first, last)) if token is not None]
    single = [token for token in (first, "$A", last) if token is not None]
    second = [token and f"{token}:1" for token in (first, "$B", last)]
    return processors.TemplateProcessing(
        single=single, pair=[*single, *(token for token in second if token is not None)], special_tokens=ids
    )
