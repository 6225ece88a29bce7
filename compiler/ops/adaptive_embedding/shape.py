"""Embeddings narrower for rarer tokens: ids (B, S) -> (B, S, width) (adaptive inputs, arXiv 1809.10853).

Cluster c holds the ids up to cutoffs[c] (the last one up to `rows`) in a table width/divide^c wide, and a projection
(width, width/divide^c). Parameters: table_0, projection_0, table_1, ... Where `divide` is 1, all tables are `width`
wide and there are no projections (as in kimiyoung/transformer-xl).
"""

from collections.abc import Sequence

from compiler.ir.types import TensorType
from compiler.ops.base import REQUIRED, Attrs, Env, Flops, Op


class AdaptiveEmbedding(Op):
    name = "adaptive_embedding"
    saves = ()
    fields = {"rows": REQUIRED, "width": REQUIRED, "cutoffs": REQUIRED, "divide": REQUIRED}

    def infer(self, inputs: Sequence[TensorType], attrs: Attrs) -> tuple[TensorType, ...]:
        return (TensorType("float", (*inputs[0].shape, attrs["width"])),)

    def params(self, inputs: Sequence[TensorType], attrs: Attrs) -> dict[str, tuple[int, ...]]:
        shapes: dict[str, tuple[int, ...]] = {}
        for c, (low, high, narrow) in enumerate(clusters(attrs)):
            shapes[f"table_{c}"] = (high - low, narrow)
            if projected(attrs):
                shapes[f"projection_{c}"] = (attrs["width"], narrow)
        return shapes

    def touched(self, role: str, shape: tuple[int, ...], attrs: Attrs, tokens: int) -> float:
        """At most one row a token; every projection."""
        return float(min(tokens, shape[0]) * shape[1] if role.startswith("table") else shape[0] * shape[1])

    def flops(self, inputs: Sequence[TensorType], attrs: Attrs, env: Env) -> Flops:
        """As if every token lay in the first cluster: rarer ones cost less."""
        n = 2 * inputs[0].elements(env) * attrs["width"] ** 2 if projected(attrs) else 0
        return Flops(n, n)


def clusters(attrs: Attrs) -> list[tuple[int, int, int]]:
    """First id, end and width of each cluster."""
    edges = [0, *attrs["cutoffs"], attrs["rows"]]
    width, divide = attrs["width"], attrs["divide"]
    return [(edges[c], edges[c + 1], int(width // divide**c)) for c in range(len(edges) - 1)]


def projected(attrs: Attrs) -> bool:
    """Whether the tables differ in width, so that each needs a projection."""
    return bool(attrs["divide"] != 1)


OP = AdaptiveEmbedding()
