"""Log probabilities over a clustered vocabulary: (B, S, width) -> (B, S, rows) (Grave et al. 2017, arXiv 1609.04309).

Cluster c is scored by table_c (its ids, width/divide^c) and bias_c on the row projected by projection_c (width,
width/divide^c). The first cluster is scored together with one row for each other cluster (clusters (n - 1, width),
cluster_bias), whose log probability is added to those of its ids. Clusters as in `adaptive_embedding`.
"""

from collections.abc import Sequence

from compiler.ir.types import TensorType
from compiler.ops.adaptive_embedding.shape import clusters, projected
from compiler.ops.base import REQUIRED, Attrs, Env, Flops, Op


class AdaptiveSoftmax(Op):
    name = "adaptive_softmax"
    fields = {"rows": REQUIRED, "cutoffs": REQUIRED, "divide": REQUIRED, "at_least": "fp32"}

    def infer(self, inputs: Sequence[TensorType], attrs: Attrs) -> tuple[TensorType, ...]:
        return (TensorType(inputs[0].dtype, (*inputs[0].shape[:-1], attrs["rows"])),)

    def params(self, inputs: Sequence[TensorType], attrs: Attrs) -> dict[str, tuple[int, ...]]:
        width = int(inputs[0].shape[-1])
        shapes: dict[str, tuple[int, ...]] = {}
        for c, (low, high, narrow) in enumerate(clusters({**attrs, "width": width})):
            shapes |= {f"table_{c}": (high - low, narrow), f"bias_{c}": (high - low,)}
            if projected(attrs):
                shapes[f"projection_{c}"] = (width, narrow)
        others = len(attrs["cutoffs"])
        return shapes | {"clusters": (others, width), "cluster_bias": (others,)}

    def flops(self, inputs: Sequence[TensorType], attrs: Attrs, env: Env) -> Flops:
        width = int(inputs[0].shape[-1])
        first = width if projected(attrs) else 0
        each = sum((high - low + first) * narrow for low, high, narrow in clusters({**attrs, "width": width}))
        n = 2 * inputs[0].elements(env) // width * (each + len(attrs["cutoffs"]) * width)
        return Flops(n, n)


OP = AdaptiveSoftmax()
