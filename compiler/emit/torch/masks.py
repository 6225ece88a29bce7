"""Mask expressions as Python text over the token indices i (queries, a column) and j (keys, a row)."""

import json

from compiler.masks.facts import Mask, holds, input_names, parts

# Atoms whose value a layer works out for itself, before the rule that reads it.
BLOCKS = ("random_blocks", "top_blocks")


def atom(mask: Mask) -> str:
    """The name under which a rule finds the value of an atom of `BLOCKS`."""
    return json.dumps(dict(mask), sort_keys=True)


def causal_window(mask: Mask) -> tuple[bool, int | None]:
    """(True, w): key j is visible to query i exactly when i - w < j <= i (w None: no lower end). Else (False, None)."""
    match mask["type"]:
        case "causal":
            return True, None
        case "window" if mask.get("block", 1) == mask.get("dilation", 1) == 1 and mask.get("ahead", 0) == 0:
            return True, mask.get("behind")
        case "and":
            parts = [causal_window(m) for m in mask["of"]]
            if all(ok for ok, _ in parts):
                return True, min((w for _, w in parts if w is not None), default=None)
    return False, None


def is_full(mask: Mask) -> bool:
    """True where every key is visible to every query."""
    return mask["type"] == "full" or (mask["type"] in ("and", "or") and all(map(is_full, mask["of"])))


def rule(mask: Mask, total: str, named: dict[str, str], slots: bool = False) -> str:
    """A boolean expression, true where key token j is visible to query token i.

    total: expression of the number of tokens. named: model input, or `atom`, -> expression of its tensor. slots: inputs
    hold marks of all slots, of which those at i and j are looked up; else they are those of the queries and keys.
    NotImplementedError where the mask depends on more.
    """

    def marks(name: str, side: str) -> str:
        if not slots:
            return named[name]
        return f"at_slots({named[name]}, {'j' if side == 'keys' else 'i.mT'})"

    match mask["type"]:
        case "full":
            return "(j >= 0)"
        case "causal":
            return "(j <= i)"
        case "self":
            return "(j == i)"
        case "window":
            return _window(mask)
        case "segment":
            length, memory = mask["length"], mask.get("memory", 0)
            start = f"i // {length} * {length}" + (f" - {memory}" if memory else "")
            return f"((j <= i) & (j >= {start}))"
        case "strided":
            return f"((i - j) % {mask['stride']} == 0)"
        case "fixed":
            block, summary = mask["block"], mask["summary"]
            return f"((i // {block} == j // {block}) | (j % {block} >= {block - summary}))"
        case "keys" | "queries":
            rows = mask["of"]
            if rows["type"] in ("rows_input", "prefix"):
                place = "None, None, :" if mask["type"] == "keys" else "None, :, None"
                return f"({marks(rows.get('name', 'prefix'), mask['type'])} != 0)[:, {place}]"
            return _rows(rows, "j" if mask["type"] == "keys" else "i", total)
        case "random_blocks" | "top_blocks":
            if (name := named.get(atom(mask))) is None:
                raise NotImplementedError(f"mask {mask['type']!r} here")
            return name
        case "input":
            pairs = f"pairs_at({named[mask['name']]}, j)" if slots else named[mask["name"]]
            return f"({pairs} != 0)[:, None]"
        case "label":
            sign = "==" if mask.get("compare", "equal") == "equal" else ">="
            queries, keys = marks(mask["queries"], "queries"), marks(mask["keys"], "keys")
            return f"({queries}[:, None, :, None] {sign} {keys}[:, None, None, :])"
        case "not":
            return f"~{rule(mask['of'], total, named, slots)}"
        case "and" | "or":
            sign = " & " if mask["type"] == "and" else " | "
            return f"({sign.join(rule(m, total, named, slots) for m in mask['of'])})"
        case "by_head":
            each = [rule(m, total, named, slots) for m in mask["of"]]
            if holds(mask, *BLOCKS) or input_names(mask):
                return f"by_heads([{', '.join(each)}], i, j)"
            return f"torch.stack([{', '.join(f'{m}.expand(len(i), j.shape[1])' for m in each)}])"
        case "by_length":
            then, otherwise = (rule(mask[k], total, named, slots) for k in ("then", "otherwise"))
            return f"({then} if {total} <= {mask['up_to']} else {otherwise})"
    raise NotImplementedError(f"mask {mask['type']!r}")


def atoms(mask: Mask) -> list[Mask]:
    """The atoms of `BLOCKS` inside an expression, each once."""
    if mask["type"] in BLOCKS:
        return [mask]
    return list({atom(a): a for part in parts(mask) for a in atoms(part)}.values())


def _window(mask: Mask) -> str:
    block, dilation = mask.get("block", 1), mask.get("dilation", 1)
    behind, ahead = mask.get("behind"), mask.get("ahead", 0)
    distance = "i - j" if block == 1 else f"i // {block} - j // {block}"
    terms = [f"(({distance}) % {dilation} == 0)"] if dilation > 1 else []
    if behind is not None:
        terms.append(f"({distance} < {(behind - 1) * dilation + 1})")
    if ahead is not None:
        terms.append("(j <= i)" if ahead == 0 and block == 1 else f"({distance} >= {-ahead * dilation})")
    return f"({' & '.join(terms)})" if terms else "(j >= 0)"


def _rows(rows: Mask, at: str, total: str) -> str:
    match rows["type"]:
        case "first":
            return f"({at} < {rows['count']})"
        case "last":
            if (block := rows.get("block", 1)) > 1:  # blocks, the last of which may be short
                return f"({at} // {block} > ({total} - 1) // {block} - {rows['count']})"
            return f"({at} >= {total} - {rows['count']})"
        case "at":
            return "(" + " | ".join(f"({at} == {p if p >= 0 else f'{total} - {-p}'})" for p in rows["positions"]) + ")"
    raise NotImplementedError(f"rows {rows['type']!r}")
