"""The matrix of the vocabulary: at a model's entrance and at its head, one where they are tied, else one for each."""

from collections.abc import Mapping

from archspec.interop.hf.family import HeadKind
from archspec.interop.recipe import Recipe, Stored
from archspec.interop.tensor_map import TensorMap


def is_one(tied: bool, head: HeadKind) -> bool:
    """What is tied, and to what: without a head there is nothing to share with."""
    return tied and head == "tokens"


def shared(tied: bool, head: HeadKind) -> dict[str, str]:
    """What the tokens and the logits of a spec say of their matrix."""
    return {"weights": "/vocab"} if is_one(tied, head) else {}


def with_ends(
    between: Mapping[str, Recipe], *, tied: bool, head: HeadKind, stack: str, embedding: str, logits: str,
    prefix: str, unread: tuple[str, ...] = (),
) -> TensorMap:  # fmt: skip
    """The whole map of a model that reads one text: `between` is all but the two matrices, stored as `embedding` and
    `logits`; a tied one may be stored under both names."""
    one = is_one(tied, head)
    recipes = {"vocab.weight" if one else f"{stack}.text.tokens.weight": Stored(embedding), **between}
    if head == "tokens" and not one:
        recipes["head.logits.weight"] = Stored(logits)
    return TensorMap(
        recipes,
        prefix=prefix,
        unread=unread if head == "tokens" else (*unread, logits),
        copies={logits: embedding} if one else {},
    )
