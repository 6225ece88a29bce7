"""Heads, norms, rotation and attention become one grouped_query_attention."""

import pytest

from compiler.passes.grouped_query import GroupedQuery
from compiler.passes.qkv_packing import QkvPacking
from tests.passes.graphs import applied, lines, program, refused, text

ROPE = '{"theta": 100, "dims": 2}'
BODY = f"""
    q = linear(x) {{"width": 8}} <weight=a.q.weight>
    k = linear(x) {{"width": 4}} <weight=a.k.weight>
    v = linear(x) {{"width": 4}} <weight=a.v.weight>
    qh = split_heads(q) {{"heads": 4}} <>
    kh = split_heads(k) {{"heads": 2}} <>
    vh = split_heads(v) {{"heads": 2}} <>
    qn = rms_norm(qh) {{"eps": 1e-06}} <weight=a.q_norm.weight>
    kn = rms_norm(kh) {{"eps": 1e-06}} <weight=a.k_norm.weight>
    qr = rope(qn, p) {ROPE} <>
    kr = rope(kn, p) {ROPE} <>
    y = attention(qr, kr, vh, mask) {{"mask": {{"type": "causal"}}, "scale": 0.7, "softcap": 20.0}} <>
    z = merge_heads(y) {{}} <>
    return z
"""
INPUTS = "x: float[B, S, 8], p: int[B, S], mask: int[B, T], bias: float[1, 4, S, T]"
FUSED = (
    '"heads": 4, "kv_heads": 2, "mask": {"type": "causal"}, "scale": 0.7, "softcap": 20.0, "rope": {"theta": 100, '
    '"dims": 2, "pairing": "half", "offset": 0, "ladder": "open", "scaling": null, "max_length": 0, "at_least": '
    '"fp32"}, "qk_norm": {"norm": "rms_norm", "eps": 1e-06, "gain": "weight", "bias": false, "eps_at": "inside", '
    '"at_least": "fp32"}, "at_least": "fp32"'
)
NORMS = "<q_norm.weight=a.q_norm.weight, k_norm.weight=a.k_norm.weight>"


def test_flat():
    after, _ = applied(GroupedQuery(), program(BODY, INPUTS))
    assert lines(after) == text(f"""
        q = linear(x) {{"width": 8}} <weight=a.q.weight>
        k = linear(x) {{"width": 4}} <weight=a.k.weight>
        v = linear(x) {{"width": 4}} <weight=a.v.weight>
        z = grouped_query_attention(q, k, v, p, mask) {{{FUSED}}} {NORMS}
        return z
    """)


def test_packed():
    before = program(BODY, INPUTS)
    after, _ = applied(GroupedQuery(), QkvPacking()(before)[0], before)
    assert lines(after) == text(f"""
        qkv = linear(x) {{"width": 16}} <weight=a.qkv.weight>
        z = grouped_query_attention(qkv, _, _, p, mask) {{{FUSED}}} {NORMS}
        return z
    """)


def test_sink():
    """A sink goes along; other keys besides those of the sequence do not."""
    body = BODY.replace('"softcap": 20.0} <>', '"sink": true} <sink=a.sink>')
    after, _ = applied(GroupedQuery(), program(body, INPUTS))
    node = after.main.nodes[-1]
    assert node.attrs["sink"] is True and node.params["sink"] == "a.sink" and len(node.params) == 3
    learned = body.replace("vh, mask)", "vh, mask, kh, vh, _)").replace(
        '"sink": true', '"sink": true, "extra": ["learned"]'
    )
    assert refused(GroupedQuery(), learned, INPUTS) == ["keys besides those of the sequence are seen"]


def plain(body: str) -> str:
    """Without norms, rotation and key mask."""
    kept = [line for line in body.splitlines() if "_norm" not in line and "rope" not in line]
    return "\n".join(kept).replace("qr, kr, vh, mask", "qh, kh, vh, _")


def test_plain():
    after, _ = applied(GroupedQuery(), program(plain(BODY), INPUTS))
    node = after.main.nodes[-1]
    assert node.inputs == ("q", "k", "v", "", "") and node.attrs["rope"] is None and node.attrs["qk_norm"] is None


def test_wider_values_are_not_taken_packed():
    body = plain(BODY).replace('v = linear(x) {"width": 4}', 'v = linear(x) {"width": 6}')
    before = program(body, INPUTS)
    after, _ = applied(GroupedQuery(), QkvPacking()(before)[0], before)
    assert after.main.nodes[-1].inputs[:3] == ("q", "k", "v")
    assert after.main.types["z"].shape == ("B", "S", 12)


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("{\"mask\":", '{"cross": true, "mask":', "keys come from another stack"),
        ("vh, mask) {\"mask\":", 'vh, mask, bias) {"bias_at": ["after_scale"], "mask":', "bias is added to the scores"),
        ('{"type": "causal"}', '{"type": "causal"}, "empty_rows": "all"', "rows that see nothing see everything"),
        (f"kr = rope(kn, p) {ROPE}", 'kr = scale(kn) {"by": 1.5}', "k: kr (scale) stands in between"),
        ("kr = rope(kn, p) " + ROPE, 'kr = rope(kn, p) {"theta": 99, "dims": 2}', "q and k are turned differently"),
        ("kn = rms_norm(kh) {\"eps\": 1e-06}", 'kn = rms_norm(kh) {"eps": 1e-05}', "q and k are normed differently"),
        ("return z", "return z, qn", "q: qn is read elsewhere too"),
        ("return z", "return z, y", "the heads are not joined right after"),
        (f"kr = rope(kn, p) {ROPE} <>\n    y = attention(qr, kr,", "y = attention(qr, kn,",
         "only one of q and k is turned"),
        ("kr = rope(kn", 'ks = rope(kn, p) {"theta": 7, "dims": 2} <>\n    kr = rope(ks', "k: turned twice"),
        ("vh = split_heads(v)", "vv = split_heads(v)", "v is normed or turned"),
        ('{"eps": 1e-06} <weight=a.k', '{"eps": 1e-06, "groups": 2} <weight=a.k', "k: kn has groups 2"),
    ],
)  # fmt: skip
def test_stays(old, new, reason):
    body = BODY.replace(old, new)
    assert body != BODY
    if "vv" in new:
        body = body.replace("qn =", 'vh = rms_norm(vv) {"eps": 1e-06} <weight=n>\n    qn =')
    assert refused(GroupedQuery(), body, INPUTS) == [reason]


def test_stays_when_the_mask_reads_an_input():
    body = BODY.replace("vh, mask)", "vh, mask, mask)").replace(
        '{"type": "causal"}', '{"type": "keys", "of": {"type": "rows_input", "name": "m"}}, "mask_inputs": ["m"]'
    )
    assert refused(GroupedQuery(), body, INPUTS) == ["the mask reads m"]
