"""A layered layout of a directed acyclic graph, from top to bottom (Sugiyama, Tagawa and Toda 1981).

Nodes stand in layers by their longest path; an edge over several layers gets a narrow stand-in in each. Layers are
ordered by the mean place of neighbours, then nodes move as near to their neighbours as the order allows.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import networkx as nx

from compiler.draw.scene import Point

GAP_X, GAP_Y, STAND_IN, SWEEPS = 26.0, 40.0, 14.0, 24
Edge = tuple[str, str, str]  # from, to, and the value that flows
Pulls = dict[tuple[str, str], float]  # upper and lower neighbour -> how strongly they draw each other
Size = tuple[float, float]


@dataclass(frozen=True)
class Layout:
    """`places`: centre x and top y of each node. `routes`: points of each edge, across gaps and through layers."""

    places: Mapping[str, Point]
    routes: Mapping[Edge, tuple[Point, ...]]
    width: float
    height: float


def arrange(sizes: Mapping[str, Size], edges: Sequence[Edge], minor: frozenset[str] = frozenset()) -> Layout:
    """Places for nodes of these sizes. Nodes that nothing leads to stand right above their first reader.

    minor: values whose edges need not be short or straight.
    """
    rank = _ranks(sizes, edges)
    chains: dict[Edge, list[str]] = {}
    widths = {name: width for name, (width, _) in sizes.items()}
    layers: list[list[str]] = [[] for _ in range(max(rank.values(), default=0) + 1)]
    for name in sizes:
        layers[rank[name]].append(name)
    for number, edge in enumerate(edges):
        start, stop, _ = edge
        inner = [f"\0{number}/{level}" for level in range(rank[start] + 1, rank[stop])]
        for level, name in enumerate(inner, rank[start] + 1):
            widths[name] = STAND_IN
            layers[level].append(name)
        chains[edge] = [start, *inner, stop]
    above, below = _neighbours(chains)
    _order(layers, above, below)
    x = _across(layers, widths, above, below, _pulls(chains, minor))
    _straighten(x, chains, layers, widths, rank)
    tops, bottoms = _down(layers, sizes)
    places = {
        name: (x[name], (tops[rank[name]] + bottoms[rank[name]] - height) / 2) for name, (_, height) in sizes.items()
    }
    routes = {edge: _route(chain, rank[edge[0]], x, tops, bottoms) for edge, chain in chains.items()}
    left = min((x[n] - widths[n] / 2 for n in x), default=0)
    right = max((x[n] + widths[n] / 2 for n in x), default=0)
    return _shifted(Layout(places, _ports(routes, sizes, places), right - left, bottoms[-1] if bottoms else 0), -left)


def _ranks(sizes: Mapping[str, Size], edges: Sequence[Edge]) -> dict[str, int]:
    dag: nx.DiGraph = nx.DiGraph()
    dag.add_nodes_from(sizes)
    dag.add_edges_from((start, stop) for start, stop, _ in edges)
    rank = {name: level for level, names in enumerate(nx.topological_generations(dag)) for name in names}
    for name in sizes:
        if dag.in_degree(name) == 0 and dag.out_degree(name):
            rank[name] = min(rank[reader] for reader in dag.successors(name)) - 1
    return rank


def _neighbours(chains: Mapping[Edge, list[str]]) -> tuple[dict[str, list[str]], dict[str, list[str]]]:
    above: dict[str, list[str]] = {}
    below: dict[str, list[str]] = {}
    for chain in chains.values():
        for upper, lower in pairwise(chain):
            above.setdefault(lower, []).append(upper)
            below.setdefault(upper, []).append(lower)
    return above, below


def _order(layers: list[list[str]], above: Mapping[str, list[str]], below: Mapping[str, list[str]]) -> None:
    """Sort each layer by the mean place of its neighbours, down and up again; the order with fewest crossings stays."""
    best, fewest = [list(layer) for layer in layers], _crossings(layers, below)
    for sweep in range(SWEEPS):
        down = sweep % 2 == 0
        near = above if down else below
        for level in range(1, len(layers)) if down else range(len(layers) - 2, -1, -1):
            other = {name: i for i, name in enumerate(layers[level - 1 if down else level + 1])}
            place = {name: i for i, name in enumerate(layers[level])}
            mean = {
                name: sum(other[n] for n in near[name]) / len(near[name]) if near.get(name) else float(place[name])
                for name in layers[level]
            }
            layers[level].sort(key=lambda name: (mean[name], place[name]))
        crossings = _crossings(layers, below)
        if crossings < fewest:
            best, fewest = [list(layer) for layer in layers], crossings
    layers[:] = best


def _crossings(layers: Sequence[Sequence[str]], below: Mapping[str, list[str]]) -> int:
    count = 0
    for upper, lower in pairwise(layers):
        place = {name: i for i, name in enumerate(lower)}
        ends = [place[n] for name in upper for n in sorted(below.get(name, ()), key=place.__getitem__)]
        count += sum(a > b for i, a in enumerate(ends) for b in ends[i + 1 :])
    return count


def _pulls(chains: Mapping[Edge, list[str]], minor: frozenset[str]) -> Pulls:
    """Edges to the next layer draw most, then the inside of long edges; where those end, they draw little."""
    pulls: Pulls = {}
    for (_, _, value), chain in chains.items():
        for upper, lower in pairwise(chain):
            inside = ("\0" in upper) + ("\0" in lower)
            pulls[upper, lower] = 0.05 if value in minor else (4.0, 0.1, 2.0)[inside]
    return pulls


def _across(
    layers: Sequence[Sequence[str]], widths: Mapping[str, float], above: Mapping[str, list[str]],
    below: Mapping[str, list[str]], pulls: Pulls,
) -> dict[str, float]:  # fmt: skip
    """Centre of each node: near its neighbours, no two in a layer closer than GAP_X."""
    x: dict[str, float] = {}
    for layer in layers:
        at = 0.0
        for name in layer:
            x[name] = at + widths[name] / 2
            at += widths[name] + GAP_X
    for sweep in range(4 * SWEEPS):
        for layer in layers if sweep % 2 == 0 else reversed(layers):
            wanted, weights = [], []
            for name in layer:
                near = [(n, pulls[n, name]) for n in above.get(name, ())]
                near += [(n, pulls[name, n]) for n in below.get(name, ())]
                total = sum(pull for _, pull in near)
                wanted.append(sum(x[n] * pull for n, pull in near) / total if total else x[name])
                weights.append(total or 0.1)
            x.update(zip(layer, _apart(layer, wanted, weights, widths), strict=True))
    return x


def _straighten(
    x: dict[str, float], chains: Mapping[Edge, list[str]], layers: Sequence[Sequence[str]],
    widths: Mapping[str, float], rank: Mapping[str, int],
) -> None:  # fmt: skip
    """The stand-ins of a long edge go to one line, where all of them have room on it."""
    for (start, _, _), chain in chains.items():
        inner = chain[1:-1]
        room = [_room(name, layers[level], x, widths) for level, name in enumerate(inner, rank[start] + 1)]
        low, high = max((lo for lo, _ in room), default=0), min((hi for _, hi in room), default=0)
        if inner and low <= high:
            line = min(max(sum(x[name] for name in inner) / len(inner), low), high)
            x.update(dict.fromkeys(inner, line))


def _room(name: str, layer: Sequence[str], x: Mapping[str, float], widths: Mapping[str, float]) -> tuple[float, float]:
    """How far to the left and right a node can go in its layer."""
    i = layer.index(name)
    half = widths[name] / 2 + GAP_X
    left = x[layer[i - 1]] + widths[layer[i - 1]] / 2 + half if i else float("-inf")
    right = x[layer[i + 1]] - widths[layer[i + 1]] / 2 - half if i + 1 < len(layer) else float("inf")
    return left, right


def _apart(
    layer: Sequence[str], wanted: Sequence[float], weights: Sequence[float], widths: Mapping[str, float]
) -> list[float]:
    """Places in this order, nearest to the wanted ones, that do not overlap (pool adjacent violators)."""
    offset, offsets = 0.0, []
    for i, name in enumerate(layer):
        if i:
            offset += (widths[layer[i - 1]] + widths[name]) / 2 + GAP_X
        offsets.append(offset)
    pools: list[list[float]] = []  # mean, weight, length
    for want, weight, shift in zip(wanted, weights, offsets, strict=True):
        pools.append([want - shift, weight, 1])
        while len(pools) > 1 and pools[-2][0] > pools[-1][0]:
            mean, mass, length = pools.pop()
            before = pools[-1]
            before[0] = (before[0] * before[1] + mean * mass) / (before[1] + mass)
            before[1], before[2] = before[1] + mass, before[2] + length
    flat = [mean for mean, _, length in pools for _ in range(int(length))]
    return [mean + shift for mean, shift in zip(flat, offsets, strict=True)]


def _down(layers: Sequence[Sequence[str]], sizes: Mapping[str, Size]) -> tuple[list[float], list[float]]:
    """Top and bottom of each layer."""
    tops, bottoms, y = [], [], 0.0
    for layer in layers:
        tops.append(y)
        y += max((sizes[name][1] for name in layer if name in sizes), default=0)
        bottoms.append(y)
        y += GAP_Y
    return tops, bottoms


def _route(
    chain: Sequence[str], first: int, x: Mapping[str, float], tops: Sequence[float], bottoms: Sequence[float]
) -> tuple[Point, ...]:
    points = [(x[chain[0]], bottoms[first])]
    for level, name in enumerate(chain[1:-1], first + 1):
        points += [(x[name], tops[level]), (x[name], bottoms[level])]
    return (*points, (x[chain[-1]], tops[first + len(chain) - 1]))


def _ports(
    routes: Mapping[Edge, tuple[Point, ...]], sizes: Mapping[str, Size], places: Mapping[str, Point]
) -> dict[Edge, tuple[Point, ...]]:
    """Ends of edges on the boxes: arrows into one node side by side, in the order they come from."""
    out = {edge: list(points) for edge, points in routes.items()}
    for name, (width, height) in sizes.items():
        x, top = places[name]
        into = sorted((e for e in out if e[1] == name), key=lambda e: out[e][-2][0])
        values = sorted({e[2] for e in out if e[0] == name}, key=lambda v: min(out[e][1][0] for e in out if e[2] == v))
        for i, edge in enumerate(into):
            out[edge][-1] = (x + _port(i, len(into), width), top)
        for edge in (e for e in out if e[0] == name):
            out[edge][0] = (x + _port(values.index(edge[2]), len(values), width), top + height)
    return {edge: tuple(points) for edge, points in out.items()}


def _port(i: int, count: int, width: float) -> float:
    return (i - (count - 1) / 2) * min(60.0, (width - 24) / count)


def _shifted(layout: Layout, dx: float) -> Layout:
    places = {name: (x + dx, y) for name, (x, y) in layout.places.items()}
    routes = {edge: tuple((x + dx, y) for x, y in points) for edge, points in layout.routes.items()}
    return Layout(places, routes, layout.width, layout.height)
