"""`relative_scores` in PyTorch: distances and their waves once for all layers."""

import re

from compiler.emit.torch.norms import normed
from compiler.emit.torch.writer import Writer, quoted
from compiler.ir.graph import Node
from compiler.ops.attention.write_torch import all_keys, span_of
from compiler.ops.relative_bias.write_torch import row_of, table_rows
from compiler.ops.sinusoid.shape import inverse_frequencies


def write(w: Writer, node: Node) -> None:
    vectors, terms = node.attrs["vectors"], node.attrs["terms"]
    q, heads = w.read(node, 0), int(w.type(node.inputs[0]).shape[1])
    w.helper("score_by_distance")
    wave, projected = "", False
    if vectors["type"] == "table":
        place, found = _rows(w, node), w.param(node, "table")
        if norm := vectors.get("norm"):
            own = {role.removeprefix("norm."): w.param(node, role) for role in node.params if role.startswith("norm.")}
            found = normed(w, norm, found, int(w.type(node.inputs[0]).shape[3]), own)
    else:
        place, wave = waves(w, node)
        projected = w.attr(node, "projected")
        found = wave if not projected else f"heads_of(F.linear({wave}, {w.param(node, 'r')}), {heads})"
    query = [q] if "q_r" in terms else []
    if "v_r" in terms:
        query.append(f"{w.param(node, 'v')}[:, None]" + ("" if query else f".expand_as({q})"))
    parts = [f"score_by_distance({' + '.join(query)}, {found}, {place})"] if query else []
    if query and wave and projected and "k_r" not in terms:
        w.helper("score_by_wave")
        parts = [f"score_by_wave({' + '.join(query)}, {w.param(node, 'r')}, {wave}, {place})"]
    if "k_r" in terms:
        w.helper("heads_of")
        k, groups = all_keys(w, node, 1), heads // int(w.type(node.inputs[1]).shape[1])
        keys = f"{k}.repeat_interleave({groups}, 1)" if groups > 1 else k
        parts.append(f"score_by_distance({keys}, {found}, {place}.mT).mT")
    if "s" in terms:
        w.helper("number_by_distance")
        parts.append(f"number_by_distance({w.param(node, 's')}, {place})")
    scores = " + ".join(parts)
    w.set(node, without_first(w, node, scores) if w.attr(node, "skip_first") else scores)


def without_first(w: Writer, node: Node, scores: str) -> str:
    """Zero for the first query and for the first key."""
    if w.steps:
        span = span_of(w, node)
        first = w.once("first", f"({span}.i[:, None] == 0) | ({span}.j == 0)")
        return f"({scores}).masked_fill({first}, 0.0)"
    w.helper("without_first", "compiler.ops.relative_scores.torch_helpers")
    return f"without_first({scores})"


def spaced(w: Writer, node: Node, spacing: list[list[int]]) -> tuple[str, str, str]:
    """Distances between rows that do not stand one after another, each pair's place, and what gives their type: worked
    out once for all layers unless queries or keys are as many as no stream is."""
    w.helper("spaced_distances")
    q, k = node.inputs[:2]
    if w.type(q).shape[2] == w.type(k).shape[2] == w.type(w.stream).shape[1]:
        pairs = w.once("distances", f"spaced_distances({{0}}, {{0}}.shape[1], {{0}}.shape[1], {spacing})", w.stream)
        return f"{pairs}[0]", f"{pairs}[1]", ""
    pairs, given = w.local("distances"), w.read(node, 0)
    w.line(f"{pairs} = spaced_distances({given}, {given}.shape[2], {w.read(node, 1)}.shape[2], {spacing})")
    return f"{pairs}[0]", f"{pairs}[1]", given


def in_view(w: Writer, node: Node) -> str:
    """Expression of i - j of keys that are no tokens, or with them in view, by `slot_places` and `zero_keys`; or ""."""
    producer = w.graph.producer(node.inputs[2]) if len(node.inputs) > 2 else None
    if producer is None or producer.op not in ("slot_places", "zero_keys"):
        if w.steps and len(node.inputs) > 2:
            raise NotImplementedError("distances between given positions in a model that steps")
        return ""
    places = [w.variable(value) for value in node.inputs[2:]]
    if len(places) == 2:
        return f"({places[0]}[:, None] - {places[1]})"
    if w.steps:
        span = span_of(w, node)
        return f"(({span}.i + {places[0]})[:, None] - {span}.j)"
    return "((at := torch.arange({0}.shape[1], device={0}.device))[:, None] + " + f"{places[0]}[:, None] - at)"


def _rows(w: Writer, node: Node) -> str:
    """Variable of each pair's table row, (S, K) or (B, S, K)."""
    distance = node.attrs["vectors"]["distance"]
    if spacing := w.attr(node, "spacing"):
        each, place, here = spaced(w, node, spacing)
        rows = row_of(w, distance, f"(-{each}[{place}])")
        if not here:
            return w.once("buckets", rows)
        w.line(f"{(found := w.local('buckets'))} = {rows}")
        return found
    if seen := in_view(w, node):
        return w.once("buckets", row_of(w, distance, f"(-{seen})"), w.stream)
    if len(node.inputs) == 2:
        return table_rows(w, node, distance)
    return w.once("buckets", row_of(w, distance, "({1}[:, None, :] - {0}[:, :, None])"), *node.inputs[2:])


def waves(w: Writer, node: Node) -> tuple[str, str]:
    """Variable of each pair's place, expression of the waves of all distances (R, width)."""
    vectors, width, far = node.attrs["vectors"], node.attrs["width"], w.attr(node, "far")
    w.helper("waves")
    here = ""
    if spacing := w.attr(node, "spacing"):
        each, place, here = spaced(w, node, spacing)
    elif seen := in_view(w, node):
        each = ""
        place = w.once("places", f"{seen}.clamp(0, {far - 1})", w.stream)
    else:
        if len(node.inputs) > 2:
            w.helper("given_distances")
            pairs = w.once("distances", "given_distances({0}, {1})", *node.inputs[2:])
        else:
            name, fields = ("near_distances", f", {far}") if far else ("all_distances", "")
            w.helper(name)
            rows, inputs = "*[torch.arange({0}.shape[1], device={0}.device)] * 2", [w.stream]
            if w.steps:
                span = span_of(w, node)
                rows, inputs = f"{span}.i, {span}.j", []
            pairs = w.once("distances", f"{name}({rows}{fields})", *inputs)
        each, place = f"{pairs}[0]", f"{pairs}[1]"
    inverse = w.buffer("wave", repr(inverse_frequencies({**vectors, "width": width})))
    more = f", clamp={vectors['clamp']!r}" if vectors.get("clamp") is not None else ""
    more += "" if vectors.get("layout", "halves") == "halves" else ", halves=False"
    if far and not here:
        w.helper("lasting_waves")
        kept = quoted(f"{inverse}_{far}" + re.sub(r"\W+", "_", more))
        some = f"[: len({each})]" if each else ""
        wave = w.once("waves", f"lasting_waves(self, {kept}, {far}, self.{inverse}, {{0}}{more}){some}", w.stream)
    elif here:
        wave = f"waves({each}, {w.once(inverse, f'self.{inverse}')}, {here}{more})"
    else:
        wave = w.once("waves", f"waves({each}, self.{inverse}, {{0}}{more})", w.stream)
    return place, wave
