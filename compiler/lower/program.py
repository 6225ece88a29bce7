"""A resolved spec becomes a program: inputs and head in the main graph, every distinct layer body one block."""

from collections.abc import Collection
from dataclasses import replace
from typing import Any

from archspec.errors import InputError
from archspec.spec.resolved import branches
from archspec.spec.steps import Resample
from compiler.ir.builder import Builder
from compiler.ir.check import check
from compiler.ir.graph import Graph, GraphError, Node
from compiler.ir.program import Call, Param, Program, repeat_attrs
from compiler.ir.types import TensorType
from compiler.lower.by_layer import Shared, shared
from compiler.lower.context import Outer, Poolings, Scope
from compiler.lower.inputs import lower_inputs
from compiler.lower.pointwise import norm, pointwise
from compiler.lower.resample import of_read
from compiler.lower.steps import lower_body, read

Rows = tuple[tuple[TensorType, Poolings], ...]  # of each stream: its type, and how its rows were pooled


def lower(resolved: Any) -> Program:
    """The program of `resolved` (archspec.spec.Resolved). InputError names what cannot be lowered yet."""
    try:
        return check(_Lowering(resolved).run())
    except GraphError as error:
        raise InputError(str(error), source=resolved.name) from error


class _Lowering:
    def __init__(self, resolved: Any) -> None:
        self.resolved = resolved
        self.params: dict[str, Param] = {}
        self.main = Builder(_unused("main", resolved.stacks), self.params)
        self.blocks: dict[str, Graph] = {}
        self.optional: dict[str, str] = {}
        self.ids: dict[str, str] = {}

    def run(self) -> Program:
        offers: dict[str, tuple[str, str]] = {}  # stack -> its output and padding mask in main
        out = ""
        for stack in self.resolved.stacks.values():
            scope = self.scope(stack, Outer(self.main, self.optional, self.ids))
            for name, (value, mask) in offers.items():
                scope.outer.offer(name, value, self.main.types[value])
                scope.outer.offer(f"{name}.attention_mask", mask, self.main.types[mask])
            out = self.stack(scope, stack)
            offers[stack.name] = (out, scope.outer.values[scope.outer.pooled("attention_mask", scope.own)])
        out = self.head(scope, *offers[self.resolved.output])
        spec = self.resolved.spec
        meta = {
            "vocab_size": spec.vocab_size, "max_length": spec.max_length, "output": self.resolved.output,
            "d_model": self.resolved.stacks[self.resolved.output].d_model, "ids": self.ids,
            "stacks": list(self.resolved.stacks), "has_head": self.resolved.head is not None,
        }  # fmt: skip
        graph = self.main.graph(out)
        return Program(self.resolved.name, graph, self.blocks, self.params, self.optional, meta)

    def scope(self, stack: Any, outer: Outer, builder: Builder | None = None) -> Scope:
        spec = self.resolved.spec
        floors = spec.precision.at_least.model_dump()
        return Scope(
            builder or self.main, stack.name, stack.d_model, outer, self.resolved.name, spec.max_length or 0, floors
        )

    def stack(self, scope: Scope, stack: Any) -> str:
        """Inputs, layers and final norm; returns the stack's output value."""
        last = stack.name == self.resolved.output
        lengths = ("S", "T") if last else (f"S_{stack.name}", f"S_{stack.name}")
        scope.axes = 1 + max((axis(branch) for body in stack.bodies for branch in branches(body)), default=0)
        values = lower_inputs(scope, stack, lengths)
        first = values["input"]
        scope.outer.offer("input", first, scope.type_of(first))
        for stream, source in stack.streams.items():
            value = values.get(source, first)
            if source == "zero":
                value = self.main.node("scale", value, at=f"{stack.name}.{stream}", by=0)
            scope.streams[stream] = value
        if stack.layers:
            self.layers(scope, stack)
        scope.own = of_read(scope, stack.final_read, f"{stack.name}.final_read")
        x = read(scope, stack.final_read, scope.streams, f"{stack.name}.final_read")
        if stack.final_norm is not None:
            x = norm(scope, stack.final_norm, x, f"{stack.name}.final_norm", f"{stack.name}.final_norm")
        return x

    def layers(self, scope: Scope, stack: Any) -> None:
        """A repeat node over all layers of the stack, or several where layers change how many rows a stream has."""
        blocks, streams = shared(stack.bodies), list(scope.streams)
        runs_as = {body: (one, one.values[body]) for one in blocks for body in one.values}
        changing = any(isinstance(step, Resample) for body in stack.bodies for step in body)
        built: list[tuple[Scope, Rows]] = []  # blocks, and the rows that they are given
        own: dict[tuple[int, Rows], tuple[Scope, Rows]] = {}  # of the current region: body and rows -> block, rows left

        def block(one: Shared, rows: Rows) -> tuple[Scope, Rows]:
            """The block of a body over such rows, and the rows that it leaves."""
            if (known := own.get((id(one), rows))) is not None:
                return known
            single = len(blocks) == 1 and not changing
            name = stack.name if single else self.unused(f"{stack.name}_{len(built)}")
            made = self.body(scope, one.body, name, streams, rows)
            built.append((made, rows))
            return made, tuple((made.type_of(made.streams[n]), made.pooled.get(n, ())) for n in streams)

        before: Rows = tuple((scope.type_of(v), scope.pooled.get(n, ())) for n, v in scope.streams.items())
        for one in [] if changing else blocks:
            own[id(one), before] = block(one, before)
        regions: list[tuple[Rows, list[Call], Rows]] = []  # rows before, layers, rows after
        for i, layer in enumerate(stack.layers):
            one, numbers = runs_as[layer.body]
            made, after = block(one, before)
            prefix = layer.weights.lstrip("/") if layer.weights else f"{stack.name}.{i}"
            if not regions or not regions[-1][0] == regions[-1][2] == before == after:
                own = own if not regions else {}
                regions.append((before, [], after))
            own[id(one), before] = made, after
            regions[-1][1].append(Call(made.b.name, prefix, numbers))
            before = after
        captures = list(dict.fromkeys(name for made, _ in built for name in made.captures))
        for made, rows in built:
            graph = made.b.graph(*(made.streams[n] for n in streams))
            given = {n: type_ for n, (type_, _) in zip(streams, rows, strict=True)}
            inputs = given | {n: scope.outer.types[n] for n in captures}
            self.blocks[graph.name] = Graph(graph.name, inputs, graph.nodes, graph.outputs, graph.types)
        for _, calls, after in regions:
            self.region(scope, stack.name, calls, captures, after)

    def region(self, scope: Scope, stack: str, calls: list[Call], captures: list[str], after: Rows) -> None:
        """One repeat node; `after`: what it leaves of the streams."""
        streams = list(scope.streams)
        outputs = tuple(self.main.fresh(f"{stack}.{stream}") for stream in streams)
        values = (*scope.streams.values(), *(scope.outer.values[n] for n in captures))
        self.main.append(Node("repeat", values, outputs, repeat_attrs(calls)), tuple(type_ for type_, _ in after))
        scope.streams.update(zip(streams, outputs, strict=True))
        scope.pooled.update(zip(streams, (poolings for _, poolings in after), strict=True))

    def unused(self, name: str) -> str:
        """`name`, changed where another graph or stack has it."""
        return _unused(name, {self.main.name, *self.blocks, *self.resolved.stacks})

    def body(self, scope: Scope, body: Any, name: str, streams: list[str], rows: Rows) -> Scope:
        builder = Builder(name, self.params)
        inner = replace(scope, b=builder, slot=f"{{{name}}}", captures={})
        inner.axes, inner.segment_rows, inner.stream_places = scope.axes, scope.segment_rows, scope.stream_places
        inner.streams = {n: builder.input(n, type_) for n, (type_, _) in zip(streams, rows, strict=True)}
        inner.pooled = {n: poolings for n, (_, poolings) in zip(streams, rows, strict=True)}
        lower_body(inner, body)
        return inner

    def clustered(self, scope: Scope, logits: Any, x: str) -> str:
        """Log probabilities over a clustered vocabulary; tables may be shared with the embedding, and so may all
        projections but the first."""
        home, own = scope.owner("head.logits", logits.weights), "head.logits"
        params = {"clusters": f"{own}.clusters.weight", "cluster_bias": f"{own}.clusters.bias"}
        for c in range(len(logits.cutoffs) + 1):
            params |= {f"table_{c}": f"{home}.table_{c}.weight", f"bias_{c}": f"{own}.bias_{c}"}
            if logits.divide != 1:
                shared = home if logits.tie_projections and c else own
                params[f"projection_{c}"] = f"{shared}.projection_{c}.weight"
        return self.main.node(
            "adaptive_softmax", x, at="head.adaptive", params=params, kind="head", rows=logits.size,
            cutoffs=list(logits.cutoffs), divide=logits.divide, at_least=scope.at_least["softmax"],
        )  # fmt: skip

    def head(self, scope: Scope, x: str, mask: str) -> str:
        head = self.resolved.head
        if head is None:
            return x
        if head.read != "all":
            x = self.main.node("read_rows", x, mask, at="head.read", rows=head.read)
        x = pointwise(scope, head.then, x, "head.then", "head.then")
        logits = head.logits
        if logits is None:
            return x
        if logits.type == "adaptive_softmax":
            return self.clustered(scope, logits, x)
        if logits.scale != 1:
            x = self.main.node("scale", x, at="head.scaled", by=logits.scale)
        # The bias of a tied head is the head's own.
        home = scope.owner("head.logits", logits.weights)
        y = self.main.node(
            "linear", x, at="head.linear", params={"weight": f"{home}.weight"}, kind="head", width=logits.size
        )
        if logits.bias:
            y = self.main.node("bias", y, at="head.bias", params={"bias": "head.logits.bias"}, kind="norm")
        if logits.softcap:
            y = self.main.node("softcap", y, at="head.softcap", cap=logits.softcap)
        return y


def _unused(name: str, taken: Collection[str]) -> str:
    while name in taken:
        name += "_"
    return name


def axis(branch: Any) -> int:
    """The axis of a grid that an attention runs along, 0 for any other op."""
    return int(getattr(branch.op, "axis", 0))
