"""Which keys one query sees, as spans: disjoint, ascending, half open.

What is given at run time counts as its upper bound (an input mask or label may show every key; under `not` it may hide
none; a prefix may be the whole prompt), but marked rows count as absent: they are few.
"""

from compiler.masks.facts import PREFIX, Mask

Spans = list[tuple[int, int]]


def row(mask: Mask, i: int, total: int, most: bool = True) -> Spans:
    """Keys of `total` that query slot i sees. `most`: what is unknown is visible (False inside a `not`)."""
    match mask["type"]:
        case "causal":
            return [(0, i + 1)]
        case "self":
            return [(i, i + 1)]
        case "window":
            return _window_row(mask, i, total)
        case "segment":
            start = i // mask["length"] * mask["length"]
            return [(max(0, start - mask.get("memory", 0)), i + 1)]
        case "keys" if mask["of"]["type"] == PREFIX:
            return [(0, total)] if most else []
        case "keys":
            return marked(mask["of"], total)
        case "queries":
            return [(0, total)] if any(lo <= i < hi for lo, hi in marked(mask["of"], total)) else []
        case "strided":
            return [(j, j + 1) for j in range(i % mask["stride"], total, mask["stride"])]
        case "fixed":
            return _fixed_row(mask, i, total)
        case "and":
            spans: Spans = [(0, total)]
            for part in mask["of"]:
                spans = meet(spans, row(part, i, total, most))
            return spans
        case "or":
            return join([span for part in mask["of"] for span in row(part, i, total, most)])
        case "not":
            return complement(row(mask["of"], i, total, not most), total)
        case "full":
            return [(0, total)]
    return [(0, total)] if most else []  # input, label


def _window_row(mask: Mask, i: int, total: int) -> Spans:
    block, dilation = mask.get("block", 1), mask.get("dilation", 1)
    behind, ahead = mask.get("behind"), mask.get("ahead", 0)
    own, last = i // block, (total - 1) // block
    first = 0 if behind is None else own - (behind - 1) * dilation
    final = last if ahead is None else min(last, own + ahead * dilation)
    if dilation == 1:
        return join([(max(0, first) * block, min(total, (final + 1) * block))])
    first = max(first, own % dilation)  # both count whole dilations from the own block
    return join([(u * block, min(total, (u + 1) * block)) for u in range(first, final + 1, dilation)])


def _fixed_row(mask: Mask, i: int, total: int) -> Spans:
    """Sparse Transformer's fixed pattern (arXiv 1904.10509, section 4.2): own block, and each block's summary."""
    block, summary = mask["block"], mask.get("summary", 1)
    own = (i // block * block, min(total, (i // block + 1) * block))
    ends = [(min(total, b + max(0, block - summary)), min(total, b + block)) for b in range(0, total, block)]
    return join([own, *ends])


def marked(rows: Mask, total: int) -> Spans:
    """Positions that a `Rows` expression marks; those given at run time count as none."""
    match rows["type"]:
        case "first":
            return join([(0, min(total, rows["count"]))])
        case "last":
            return join([(max(0, first_of_last(rows, total)), total)])
        case "at":
            return join([(p, p + 1) for p in rows["positions"] if 0 <= p < total])
    return []


def first_of_last(rows: Mask, total: int) -> int:
    """The first of the last positions, or of the last blocks, the last of which may be short; perhaps negative."""
    block = int(rows.get("block", 1))
    return (-(-total // block) - int(rows["count"])) * block


def meet(left: Spans, right: Spans) -> Spans:
    """What both cover."""
    out: Spans = []
    a = b = 0
    while a < len(left) and b < len(right):
        lo, hi = max(left[a][0], right[b][0]), min(left[a][1], right[b][1])
        if lo < hi:
            out.append((lo, hi))
        if left[a][1] < right[b][1]:
            a += 1
        else:
            b += 1
    return out


def join(spans: Spans) -> Spans:
    """What any covers, from spans in any order that may touch or be empty."""
    out: Spans = []
    for lo, hi in sorted(s for s in spans if s[0] < s[1]):
        if out and lo <= out[-1][1]:
            out[-1] = (out[-1][0], max(hi, out[-1][1]))
        else:
            out.append((lo, hi))
    return out


def complement(spans: Spans, total: int) -> Spans:
    edges = [0, *(e for span in spans for e in span), total]
    return [(a, b) for a, b in zip(edges[::2], edges[1::2], strict=True) if a < b]
