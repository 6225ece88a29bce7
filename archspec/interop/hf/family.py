"""What an importer of one `model_type` gives: a spec, a tensor map, and the way back."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from archspec.interop.hf.config import Config
from archspec.interop.tensor_map import TensorMap
from archspec.spec import Resolved

HeadKind = Literal["tokens", "none"]


class CannotSay(Exception):
    """The family's config.json has no words for this spec; the message says what is missing."""


@dataclass(frozen=True)
class Family:
    """One file in this folder ends with one of these.

    spec: `stacks`, `head`, `vocab_size`, `max_length` as plain JSON. It reads every field that changes the computation.
    tensors: our parameter paths over the names of the complete checkpoint.
    config: the fields that the spec determines; CannotSay where it meets something foreign. It need not be strict:
    what it writes is read back and compared.
    heads: class name in `architectures` -> the head that it has. `head`: what a configuration without that list means.
    """

    model_type: str
    spec: Callable[[Config, HeadKind], dict[str, Any]]
    tensors: Callable[[Config, HeadKind], TensorMap]
    config: Callable[[Resolved], dict[str, Any]]
    heads: Mapping[str, HeadKind]
    head: HeadKind = "tokens"
    inert: frozenset[str] = field(default_factory=frozenset)
    encoder_decoder: bool = False  # what is_encoder_decoder must be
