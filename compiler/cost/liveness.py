"""Peak memory of values: what is alive at each node, by last use, views sharing the memory they look at."""

import json
from collections.abc import Mapping

from compiler import ops
from compiler.cost.formats import Storage
from compiler.cost.sites import last_only
from compiler.cost.state import state_bytes
from compiler.ir.check import ABSENT
from compiler.ir.graph import Graph, Node
from compiler.ir.program import Program, calls
from compiler.ops.base import Env, StateTensor

PROBABILITY_BYTES = 4  # an attention that is not fused holds its scores in fp32 through the softmax


class Liveness:
    """Peaks of one program at one set of sizes.

    tail: names of main nodes that are computed for the last position only. materialised: attention holds its scores.
    """

    def __init__(
        self,
        program: Program,
        env: Env,
        storage: Storage,
        tail: frozenset[str] = frozenset(),
        materialised: bool = False,
    ) -> None:
        self.program, self.env, self.storage = program, env, storage
        self.tail, self.materialised = tail, materialised
        self.blocks: dict[str, int] = {}

    def peak(self) -> int:
        """Most bytes of activations alive at once. What the main graph returns is left out: logits count apart."""
        main = self.program.main
        apart = frozenset(main.outputs) - frozenset(main.inputs)
        return self._peak(main, frozenset(main.inputs), apart) + self._masks()

    def _masks(self) -> int:
        """Masks are made once for a pass and read by all layers that share the expression."""
        found: dict[str, int] = {}
        for graph in self.program.graphs():
            for node in graph.nodes:
                if "mask" in node.attrs:
                    inputs = [graph.types[v] if v else ABSENT for v in node.inputs]
                    elements = ops.get(node.op).mask_elements(inputs, node.attrs, self.env)
                    found[json.dumps(node.attrs["mask"], sort_keys=True)] = elements
        return sum(found.values()) * self.storage.activation_bytes

    def _peak(self, graph: Graph, owned: frozenset[str], apart: frozenset[str]) -> int:
        """owned: inputs whose memory belongs here (others belong to the caller). apart: values that are not counted."""
        root = roots(graph)
        sizes = {
            v: 0 if v in apart else self._size(graph, v) for v in root.values() if v in owned or v not in graph.inputs
        }
        last = {root[v]: i for i, node in enumerate(graph.nodes) for v in (*node.outputs, *node.inputs) if v}
        last |= {root[v]: len(graph.nodes) for v in graph.outputs}
        live = peak = sum(sizes[v] for v in owned)
        for i, node in enumerate(graph.nodes):
            fresh = sum(sizes[v] for v in node.outputs if root[v] == v)
            dying = {root[v] for v in (*node.inputs, *node.outputs) if v and last[root[v]] == i}
            if node.op == "repeat":
                # The first layer reads the carried streams where they are: their memory is counted inside it.
                carried = {root[v] for v in node.inputs[: len(node.outputs)]}
                inside = max((self._block(call.block, len(node.outputs)) for call in calls(node)), default=0)
                peak = max(peak, live - sum(sizes.get(v, 0) for v in carried & dying) + inside)
            else:
                peak = max(peak, live + fresh + self._scratch(graph, node))
            live += fresh - sum(sizes.get(v, 0) for v in dying)
        return peak

    def _block(self, name: str, carried: int) -> int:
        """Peak inside a block whose first `carried` inputs are handed over to it."""
        if name not in self.blocks:
            block = self.program.blocks[name]
            self.blocks[name] = self._peak(block, frozenset(list(block.inputs)[:carried]), frozenset())
        return self.blocks[name]

    def _scratch(self, graph: Graph, node: Node) -> int:
        """Bytes that exist only while the node runs."""
        op = ops.get(node.op)
        inputs = [graph.types[v] if v else ABSENT for v in node.inputs]
        scratch = op.inside(inputs, node.attrs, self.env) * self.storage.activation_bytes
        if self.materialised:
            scratch += op.scores(inputs, node.attrs, self.env) * (PROBABILITY_BYTES + self.storage.activation_bytes)
        new, total = self.env["S"], self.env["T"]
        for state in op.state(inputs, node.attrs):
            # A chunk that meets a full ring is attended beside the ring's content: both are joined for the time being.
            if state.kind == "cache" and state.limit is not None and state.limit < total and 1 < new < total:
                joined = StateTensor(state.name, state.shape, state.kind, state.dtype, state.limit + new)
                scratch += state_bytes(joined, self.env, self.storage)
        return scratch

    def _size(self, graph: Graph, value: str) -> int:
        type_ = graph.types[value]
        maker = graph.producer(value)
        env = last_only(self.env) if maker is not None and maker.name in self.tail else self.env
        return type_.elements(env) * self.storage.value_bytes(type_.dtype)


def roots(graph: Graph) -> Mapping[str, str]:
    """Value -> the value whose memory it lives in: a view lives in what it looks at."""
    root = {value: value for value in graph.inputs}
    for node in graph.nodes:
        view = node.op != "repeat" and ops.get(node.op).view
        for value in node.outputs:
            root[value] = root[node.inputs[0]] if view else value
    return root
