"""Several linears of one input become one linear over stacked weights: the part that both packings share."""

from collections.abc import Sequence

from archspec.interop.recipe import Concat, Recipe, Stored
from compiler.ir.graph import Node
from compiler.ir.program import Param
from compiler.passes.rewrite import Site


def against(site: Site, linears: Sequence[Node]) -> str | None:
    """Why these linears cannot be packed, or None."""
    first = linears[0]
    for other in linears[1:]:
        if other.inputs != first.inputs:
            return f"{other.name} reads {other.inputs[0]}, {first.name} reads {first.inputs[0]}"
        if bool(other.attrs.get("bias")) != bool(first.attrs.get("bias")):
            with_bias = other if other.attrs.get("bias") else first
            return f"only {with_bias.name} of {', '.join(n.name for n in linears)} has a bias"
    for node in linears:
        if node.attrs.get("activation"):
            return f"{node.name} applies {node.attrs['activation']}"
    for role in first.params:
        paths = [node.params[role] for node in linears]
        if len(set(paths)) < len(paths):
            return f"{', '.join(n.name for n in linears)} share one {role}"
        if len({"{" in path for path in paths}) > 1:
            return f"some of {', '.join(paths)} belong to the layer and some do not"
        for path in paths:
            if site.reads(path) > 1:
                return f"{path} is read elsewhere too"
        if len({site.program.params[path].kind for path in paths}) > 1:
            return f"{', '.join(paths)} are stored differently"
    return None


def packed(site: Site, linears: Sequence[Node], value: str) -> tuple[Node, dict[str, Param], dict[str, Recipe]]:
    """One linear that makes `value`, the outputs of `linears` side by side; its parameters and their recipes."""
    first = linears[0]
    params: dict[str, Param] = {}
    recipes: dict[str, Recipe] = {}
    paths: dict[str, str] = {}
    for role in first.params:
        parts = [node.params[role] for node in linears]
        recipe = Concat(tuple(site.program.recipes.get(part, Stored(part)) for part in parts), 0)
        path = packed_path(parts)
        while path in site.program.params and site.program.recipes.get(path) != recipe:
            path = f"{path.rpartition('.')[0]}_2.{role}"
        shapes = [site.program.params[part].shape for part in parts]
        params[path] = Param((sum(s[0] for s in shapes), *shapes[0][1:]), site.program.params[parts[0]].kind)
        recipes[path], paths[role] = recipe, path
    width = sum(int(node.attrs["width"]) for node in linears)
    attrs = {**first.attrs, "width": width}
    return Node("linear", first.inputs, (fresh(site, value),), attrs, paths), params, recipes


def packed_path(paths: Sequence[str]) -> str:
    """Paths that differ in one component, that joined: a.q.weight, a.k.weight -> a.qk.weight; else beside the first."""
    split = [path.split(".") for path in paths]
    if len({len(parts) for parts in split}) == 1:
        columns = list(zip(*split, strict=True))
        differing = [i for i, column in enumerate(columns) if len(set(column)) > 1]
        if len(differing) == 1:
            names = columns[differing[0]]
            split[0][differing[0]] = ("" if max(map(len, names)) == 1 else "_").join(names)
            return ".".join(split[0])
    home, _, role = paths[0].rpartition(".")
    return f"{home}_packed.{role}"


def fresh(site: Site, value: str) -> str:
    """`value`, numbered where the graph has it already."""
    if value not in site.graph.types:
        return value
    return next(f"{value}_{i}" for i in range(2, 10**6) if f"{value}_{i}" not in site.graph.types)
