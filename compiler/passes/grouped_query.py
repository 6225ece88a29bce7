"""Heads split, q and k normed and turned, attention, heads joined -> one grouped_query_attention."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from compiler import ops
from compiler.ir.graph import Node
from compiler.passes.norms import NORMS, against_fusing, fused_fields
from compiler.passes.rewrite import Answer, LocalPass, Replacement, Site


@dataclass(frozen=True)
class Chain:
    """From flat projection to the attention's input: (B, S, H·D) -> split_heads -> [norm] -> [rope]."""

    flat: str
    split: Node
    norm: Node | None
    rope: Node | None

    @property
    def nodes(self) -> list[Node]:
        return [node for node in (self.split, self.norm, self.rope) if node is not None]


@dataclass(frozen=True)
class GroupedQuery(LocalPass):
    name: ClassVar[str] = "grouped_query"
    anchors: ClassVar[tuple[str, ...]] = ("attention",)

    def at(self, site: Site) -> Answer:
        core = site.node
        if reason := _not_plain(core):
            return reason
        merge = site.sole_reader(core.name, "merge_heads")
        if merge is None:
            return "the heads are not joined right after"
        chains: list[Chain] = []
        for role, value in zip("qkv", core.inputs, strict=False):
            chain = _chain(site, value)
            if isinstance(chain, str):
                return f"{role}: {chain}"
            chains.append(chain)
        q, k, v = chains
        if v.norm is not None or v.rope is not None:
            return "v is normed or turned"
        if reason := _differ(site, q, k):
            return reason
        attrs: dict[str, Any] = {
            "heads": q.split.attrs["heads"], "kv_heads": k.split.attrs["heads"], "mask": core.attrs["mask"],
            "scale": core.attrs["scale"], "softcap": core.attrs.get("softcap"),
            "rope": _fields(q.rope) if q.rope else None,
            "qk_norm": fused_fields(q.norm) if q.norm else None,
            "at_least": core.attrs.get("at_least", "fp32"), **({"sink": True} if core.attrs.get("sink") else {}),
        }  # fmt: skip
        params = {
            f"{part}.{role}": path
            for part, chain in (("q_norm", q), ("k_norm", k))
            for role, path in (chain.norm.params if chain.norm else {}).items()
        }
        params |= core.params
        flat, removed = _flat(site, chains)
        positions = q.rope.inputs[1] if q.rope else ""
        joined = Node("grouped_query_attention", (*flat, positions, core.inputs[3]), merge.outputs, attrs, params)
        names = [node.name for chain in chains for node in chain.nodes]
        return Replacement((*removed, *names, core.name, merge.name), (joined,))


def _not_plain(core: Node) -> str | None:
    """What this attention has that the fused operator has not."""
    if core.attrs.get("cross"):
        return "keys come from another stack"
    if names := core.attrs.get("mask_inputs"):
        return f"the mask reads {', '.join(names)}"
    if core.attrs.get("bias_at"):
        return f"{core.inputs[-1]} is added to the scores"
    if core.attrs.get("extra"):
        return "keys besides those of the sequence are seen"
    return "rows that see nothing see everything" if core.attrs.get("empty_rows", "zeros") != "zeros" else None


def _chain(site: Site, value: str) -> Chain | str:
    rope = norm = None
    node = site.graph.producer(value)
    if node is not None and node.op == "rope":
        rope, node = node, site.graph.producer(node.inputs[0])
        if node is not None and node.op == "rope":
            return "turned twice"
    if node is not None and node.op in NORMS:
        if reason := against_fusing(node):
            return reason
        norm, node = node, site.graph.producer(node.inputs[0])
    if node is None or node.op != "split_heads":
        return f"{node.name} ({node.op}) stands in between" if node else f"{value} comes from outside the graph"
    chain = Chain(node.inputs[0], node, norm, rope)
    for part in chain.nodes:
        if not site.graph.used_once(part.name):
            return f"{part.name} is read elsewhere too"
    return chain


def _differ(site: Site, q: Chain, k: Chain) -> str | None:
    """Why q and k are not treated alike, or None."""
    if q.flat != k.flat and site.type_of(q.flat).shape[1] != site.type_of(k.flat).shape[1]:
        return "k has another length than q"
    for what, a, b in (("turned", q.rope, k.rope), ("normed", q.norm, k.norm)):
        if (a is None) != (b is None):
            return f"only one of q and k is {what}"
        if a is not None and b is not None and _treatment(a) != _treatment(b):
            return f"q and k are {what} differently"
    return None


def _treatment(node: Node) -> tuple[Any, ...]:
    return node.op, node.inputs[1:], _fields(node)


def _fields(node: Node) -> Mapping[str, Any]:
    return {**ops.get(node.op).fields, **node.attrs}


def _flat(site: Site, chains: list[Chain]) -> tuple[tuple[str, str, str], list[str]]:
    """Inputs q, k, v of the fused node, and the split that goes when they are one packed value."""
    q, k, v = (chain.flat for chain in chains)
    split = site.producer(q, "split")
    if split is None or split.outputs != (q, k, v) or not all(site.graph.used_once(x) for x in (q, k, v)):
        return (q, k, v), []
    k_heads, v_heads = (site.type_of(c.split.name).shape for c in chains[1:])
    return ((q, k, v), []) if k_heads != v_heads else ((split.inputs[0], "", ""), [split.name])
