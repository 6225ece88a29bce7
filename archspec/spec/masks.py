"""Masks and rows. A mask is true where a query sees a key; atoms are combined by `and`, `or`, `not`."""

from typing import Annotated, ClassVar, Literal

from archspec.spec import rules
from archspec.spec.node import Choice, Count, Identifier, Name, Node, Size, Whole


class First(Node):
    type: Literal["first"] = "first"
    count: Size
    RULES: ClassVar = (rules.within_length("count"),)


class Last(Node):
    """The last positions; with `block` the last blocks, the last one of which may be short."""

    type: Literal["last"] = "last"
    count: Size
    block: Size = 1
    RULES: ClassVar = (rules.within_length("count"),)


class At(Node):
    type: Literal["at"] = "at"
    positions: tuple[Count, ...]
    RULES: ClassVar = (rules.at,)


class Prefix(Node):
    """The rows of a prompt's prefix, marked at run time by the input `prefix` (all unmarked where it is not given).

    As keys they are seen from before them too. Steps: the prefix comes with the first one, whole.
    """

    type: Literal["prefix"] = "prefix"


class RowsInput(Node):
    """Rows marked by an input of 0 and 1."""

    type: Literal["rows_input"] = "rows_input"
    name: Identifier


class SegmentNamed(Node):
    """The rows that came from the named input of the stack."""

    type: Literal["segment_named"] = "segment_named"
    name: Name


class Sees(Node):
    """Rows whose mask over `source` shows at least one key."""

    type: Literal["sees"] = "sees"
    source: Name


Rows = Annotated[First | Last | At | Prefix | RowsInput | SegmentNamed | Sees, Choice("rows")]


class Full(Node):
    type: Literal["full"] = "full"


class Causal(Node):
    """Bottom-right aligned: the last query sees the last key."""

    type: Literal["causal"] = "causal"


class Self(Node):
    """The own position only."""

    type: Literal["self"] = "self"


class Window(Node):
    """`behind` counts units at and before the query, the own one included (None: all); `ahead` those after it.

    With `block` the unit is a block of positions; with `dilation` every d-th unit is visible.
    """

    type: Literal["window"] = "window"
    behind: Size | None = None
    ahead: Count = 0
    block: Size = 1
    dilation: Size = 1


class Segment(Node):
    """The own segment so far and the last `memory` positions before it."""

    type: Literal["segment"] = "segment"
    length: Size
    memory: Count = 0


class Keys(Node):
    type: Literal["keys"] = "keys"
    of: Rows


class Queries(Node):
    type: Literal["queries"] = "queries"
    of: Rows


class Strided(Node):
    """Keys whose distance is a multiple of `stride`."""

    type: Literal["strided"] = "strided"
    stride: Size


class Fixed(Node):
    """Sparse transformer's fixed pattern: the own block, and the last `summary` keys of each block."""

    type: Literal["fixed"] = "fixed"
    block: Size
    summary: Size = 1
    RULES: ClassVar = (rules.fixed_mask,)


class RandomBlocks(Node):
    """`count` random key blocks for each query block and head, drawn as BigBird's published code draws them.

    With `outside`: among all blocks of which `outside` shows nothing to the query block.
    """

    type: Literal["random_blocks"] = "random_blocks"
    block: Size
    count: Size
    seed: Whole = 0
    outside: "Mask | None" = None


class TopBlocks(Node):
    """The query's own block and those `count` - 1 before it that score best, for each head.

    Scores: the query's product with the block's mean key, or with its best key.
    """

    type: Literal["top_blocks"] = "top_blocks"
    block: Size
    count: Size
    score: Literal["mean_key", "max_key"] = "mean_key"


class Label(Node):
    """Query label compared with key label; both are inputs."""

    type: Literal["label"] = "label"
    queries: Identifier
    keys: Identifier
    compare: Literal["equal", "at_most"] = "equal"


class InputMask(Node):
    """A mask given at run time, true where visible."""

    type: Literal["input"] = "input"
    name: Identifier


class And(Node):
    type: Literal["and"] = "and"
    of: "tuple[Mask, ...]"


class Or(Node):
    type: Literal["or"] = "or"
    of: "tuple[Mask, ...]"


class Not(Node):
    type: Literal["not"] = "not"
    of: "Mask"


class ByHead(Node):
    """One mask for each head."""

    type: Literal["by_head"] = "by_head"
    of: "tuple[Mask, ...]"


class ByLength(Node):
    """`then` for sequences up to `up_to` positions, `otherwise` for longer ones."""

    type: Literal["by_length"] = "by_length"
    up_to: Size
    then: "Mask"
    otherwise: "Mask"


Mask = Annotated[
    Full
    | Causal
    | Self
    | Window
    | Segment
    | Keys
    | Queries
    | Strided
    | Fixed
    | RandomBlocks
    | TopBlocks
    | Label
    | InputMask
    | And
    | Or
    | Not
    | ByHead
    | ByLength,
    Choice("mask"),
]
