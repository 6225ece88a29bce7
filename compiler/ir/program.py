"""A whole model: the main graph, each distinct block once, and the parameters by path."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from archspec.interop.recipe import Recipe, Stored, substitute
from compiler.ir.graph import Graph, Node


@dataclass(frozen=True, slots=True)
class Param:
    """A stored tensor: its shape and the kind that decides its storage type ("embedding", "linear", "norm", ...)."""

    shape: tuple[int, ...]
    kind: str = "linear"


@dataclass(frozen=True, slots=True)
class Call:
    """One layer: which block, the prefix that replaces `{block}` in its parameter paths, and this layer's own numbers,
    which stand in the block's nodes as `{"by_layer": key}` (`by_layer`)."""

    block: str
    prefix: str
    numbers: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Program:
    """`params` maps a path template to its declaration; one with `{block}` stands for one tensor a call of that block.

    `optional` names main inputs that a caller may leave out, with what stands in: "ones", "zeros" or "empty" (no
    rows).
    """

    name: str
    main: Graph
    blocks: Mapping[str, Graph]
    params: Mapping[str, Param]
    optional: Mapping[str, str] = field(default_factory=dict)
    meta: Mapping[str, Any] = field(default_factory=dict)  # vocab_size, max_length, d_model, output stack, ...
    recipes: Mapping[str, Recipe] = field(default_factory=dict)  # packed template -> recipe over unpacked templates

    def graphs(self) -> Iterator[Graph]:
        """The main graph, then every distinct block."""
        yield self.main
        yield from self.blocks.values()

    def graph(self, name: str) -> Graph:
        """The main graph or a block, by name (KeyError if there is none)."""
        return self.main if name == self.main.name else self.blocks[name]

    def with_graphs(self, graphs: Mapping[str, Graph]) -> "Program":
        """The same program with the graphs of these names replaced."""
        blocks = {name: graphs.get(name, graph) for name, graph in self.blocks.items()}
        return replace(self, main=graphs.get(self.main.name, self.main), blocks=blocks)

    def regions(self) -> list[tuple[Node, tuple[Call, ...]]]:
        """Every `repeat` node of the main graph with its calls."""
        return [(node, calls(node)) for node in self.main.nodes if node.op == "repeat"]

    def counts(self) -> dict[str, int]:
        """Block name -> how many layers run it."""
        counts = dict.fromkeys(self.blocks, 0)
        for node in self.main.nodes:
            if node.op == "repeat":
                for block, count in block_runs(node):
                    counts[block] += count
        return counts

    def prefixes(self, block: str) -> list[str]:
        """Distinct prefixes that `block` is called with, in order."""
        return list(dict.fromkeys(c.prefix for _, region in self.regions() for c in region if c.block == block))

    def templates(self, graph: Graph) -> list[str]:
        """Parameter path templates that `graph` reads, in order, each once."""
        return list(dict.fromkeys(path for node in graph.nodes for path in node.params.values()))

    def stored_recipes(self) -> dict[str, Recipe]:
        """Every tensor this program reads, by full path: how it is made from those of the unrewritten program."""
        made: dict[str, Recipe] = {}
        for graph in self.graphs():
            for template in self.templates(graph):
                recipe = self.recipes.get(template, Stored(template))
                for prefix in self.prefixes(graph.name) if "{" in template else [""]:
                    made[fill(template, prefix)] = substitute(recipe, _filled(prefix))
        return made

    def parameter_paths(self) -> dict[str, Param]:
        """Every stored tensor by its full path, in reading order."""
        paths: dict[str, Param] = {}
        for graph in self.graphs():
            for template in self.templates(graph):
                prefixes = self.prefixes(graph.name) if "{" in template else [""]
                for prefix in prefixes:
                    paths[fill(template, prefix)] = self.params[template]
        return paths


def _filled(prefix: str) -> Callable[[str], Recipe]:
    return lambda name: Stored(fill(name, prefix))


def fill(template: str, prefix: str) -> str:
    """A full parameter path: the template with its `{block}` replaced by a call's prefix."""
    head, brace, rest = template.partition("}")
    return prefix + rest if brace and head.startswith("{") else template


def calls(node: Node) -> tuple[Call, ...]:
    """The layers of a `repeat` node, its runs expanded. A run is [block, stack, first, count] or [block, prefix];
    `numbers`: block -> key -> one value for each layer that runs it, in order."""
    out: list[Call] = []
    numbers = node.attrs.get("numbers", {})
    for run in node.attrs["calls"]:
        if len(run) == 2:
            out.append(Call(*run))
        else:
            block, stack, first, count = run
            out.extend(Call(block, f"{stack}.{first + i}") for i in range(count))
    if not numbers:
        return tuple(out)
    rows = {block: map(dict, zip(*([(key, v) for v in vs] for key, vs in named.items()), strict=True))
            for block, named in numbers.items()}  # fmt: skip
    return tuple(replace(call, numbers=next(rows[call.block])) if call.block in rows else call for call in out)


def repeat_attrs(layers: list[Call]) -> dict[str, Any]:
    """The fields of the `repeat` node that runs these layers."""
    numbers: dict[str, dict[str, list[Any]]] = {}
    for call in layers:
        for key, value in call.numbers.items():
            numbers.setdefault(call.block, {}).setdefault(key, []).append(value)
    return {"calls": runs(layers)} | ({"numbers": numbers} if numbers else {})


def by_layer(value: Any) -> str | None:
    """The key of a field whose value each layer has for itself, None for any other field."""
    return str(value["by_layer"]) if isinstance(value, dict) and value.keys() == {"by_layer"} else None


def of_call(node: Node, call: Call) -> Node:
    """A node of a block as this layer runs it."""
    own = {name: call.numbers[key] for name, value in node.attrs.items() if (key := by_layer(value)) is not None}
    return node.with_(attrs={**node.attrs, **own}) if own else node


def block_runs(node: Node) -> list[tuple[str, int]]:
    """Blocks of a `repeat` node in order, each with how many layers run it in a row; not one entry a layer."""
    return [(run[0], 1 if len(run) == 2 else run[3]) for run in node.attrs["calls"]]


def runs(layers: list[Call]) -> list[list[Any]]:
    """Calls as the runs that `calls` expands: equal neighbours with counted prefixes become one run."""
    out: list[list[Any]] = []
    for call in layers:
        stack, _, number = call.prefix.rpartition(".")
        if not stack or not (number.isascii() and number.isdigit()) or str(int(number)) != number:
            out.append([call.block, call.prefix])
        elif out and len(out[-1]) == 4 and out[-1][:2] == [call.block, stack] and sum(out[-1][2:]) == int(number):
            out[-1][3] += 1
        else:
            out.append([call.block, stack, int(number), 1])
    return out
