"""q, k, v and gate, up become one linear; the recipe says how its weight is made."""

import pytest

from archspec.interop.recipe import Concat, Stored
from compiler.passes.gate_up_packing import GateUpPacking
from compiler.passes.packing import packed_path
from compiler.passes.qkv_packing import QkvPacking
from tests.passes.graphs import applied, lines, program, refused, text

GATED = """
    g = linear(x) {"width": 6} <weight=m.gate.weight>
    u = linear(x) {"width": 6} <weight=m.up.weight>
    a = activation(g) {"function": "silu"} <>
    y = mul(a, u) {} <>
    return y
"""


def attention(q="x", k="x", v="x", bias=("", "", ""), between=""):
    """4 heads of 2 over 2; projections read the given values."""
    projections = [
        f'{r} = linear({value}) {{"width": {width}{", " if has else ""}{has}}} '
        f"<weight=a.{r}.weight{f', bias=a.{r}.bias' if has else ''}>"
        for r, value, width, has in zip("qkv", (q, k, v), (8, 4, 4), bias, strict=True)
    ]
    return "\n".join([*projections, between, *HEADS, "return y"])


HEADS = (
    'qh = split_heads(q) {"heads": 4} <>',
    'kh = split_heads(k) {"heads": 2} <>',
    'vh = split_heads(v) {"heads": 2} <>',
    'y = attention(qh, kh, vh, _) {"mask": {"type": "causal"}, "scale": 0.7} <>',
)


def test_qkv():
    after, record = applied(QkvPacking(), program(attention()))
    assert lines(after) == text("""
        qkv = linear(x) {"width": 16} <weight=a.qkv.weight>
        q, k, v = split(qkv) {"sizes": [8, 4, 4]} <>
    """) + "\n" + "\n".join(HEADS) + "\nreturn y"  # fmt: skip
    assert after.recipes == {
        "a.qkv.weight": Concat((Stored("a.q.weight"), Stored("a.k.weight"), Stored("a.v.weight")), 0)
    }
    assert after.params["a.qkv.weight"].shape == (16, 8)
    assert (record.matched, record.expected) == (1, 1)
    assert record.saved["elements_per_token"] == 16  # x is read once, not three times


def test_qkv_with_biases_norms_and_rotation_between():
    body = attention(bias=('"bias": true',) * 3).replace("attention(qh, kh", "attention(qr, kr")
    rope = '{"theta": 100, "dims": 2}'
    extra = f"""qn = rms_norm(qh) {{"eps": 1e-06}} <weight=a.q_norm>
        qr = rope(qn, p) {rope} <>
        kr = rope(kh, p) {rope} <>
        y ="""
    after, _ = applied(QkvPacking(), program(body.replace("y =", extra), "x: float[B, S, 8], p: int[B, S]"))
    assert lines(after).startswith('qkv = linear(x) {"width": 16, "bias": true} <weight=a.qkv.weight, bias=a.qkv.bias>')
    assert [node.op for node in after.main.nodes][:2] == ["linear", "split"]


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (attention(k="z", v="z"), "k reads z, q reads x"),
        (attention(bias=("", '"bias": true', "")), "only k of q, k, v has a bias"),
        (attention().replace("a.v.weight", "a.k.weight"), "q, k, v share one weight"),
        (attention().replace("a.q.weight", "{main}.q.weight"), "some of {main}.q.weight, a.k.weight, a.v.weight "
         "belong to the layer and some do not"),
        (attention(between='t = linear(z) {"width": 8} <weight=a.q.weight>').replace("return y", "return y, t"),
         "a.q.weight is read elsewhere too"),
        (attention().replace("split_heads(v)", "split_heads(w)").replace("qh =", 'w = scale(v) {"by": 2} <>\nqh ='),
         "v comes from w (scale), not a linear"),
        (attention().replace("split_heads(k)", "split_heads(c)"), "k comes from outside the graph, not a linear"),
        (attention().replace('{"width": 8}', '{"width": 8, "activation": "relu"}'), "q applies relu"),
    ],
)  # fmt: skip
def test_qkv_stays(body, reason):
    inputs = "x: float[B, S, 8], z: float[B, S, 8], c: float[B, S, 4]"
    assert refused(QkvPacking(), body, inputs) == [reason]


def test_qkv_of_different_storage_stays():
    reasons = refused(QkvPacking(), attention(), kinds={"a.v.weight": "value"})
    assert reasons == ["a.q.weight, a.k.weight, a.v.weight are stored differently"]


def test_gate_up():
    after, record = applied(GateUpPacking(), program(GATED))
    assert lines(after) == text("""
        gu = linear(x) {"width": 12} <weight=m.gate_up.weight>
        y = gated_activation(gu) {"function": "silu"} <>
        return y
    """)
    assert after.recipes == {"m.gate_up.weight": Concat((Stored("m.gate.weight"), Stored("m.up.weight")), 0)}
    assert record.saved["nodes"] == 2


def test_gate_up_in_the_other_order_packs_the_gate_first():
    after, _ = applied(GateUpPacking(), program(GATED.replace("mul(a, u)", "mul(u, a)")))
    assert after.recipes["m.gate_up.weight"].parts[0] == Stored("m.gate.weight")


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("mul(a, u)", "mul(a, x)", "the up comes from x, not a linear"),
        ("a = act", 'c = clamp(g) {"high": 7} <>\n    a = act', "the gate comes from c (clamp), not a linear"),
        ("return y", "return y, g", "g is read elsewhere too"),
        ("u = linear(x)", "u = linear(z)", "u reads z, g reads x"),
        ('{"width": 6} <weight=m.gate.weight>', '{"width": 6, "bias": true} <weight=m.gate.weight, bias=b>',
         "only g of g, u has a bias"),
    ],
)  # fmt: skip
def test_gate_up_stays(old, new, reason):
    body = GATED.replace(old, new)
    if "(clamp)" in reason:
        body = body.replace("activation(g)", "activation(c)")
    width = 6 if "the up comes from x" in reason else 8
    assert refused(GateUpPacking(), body, f"x: float[B, S, {width}], z: float[B, S, 8]") == [reason]


def test_a_product_of_other_things_is_no_candidate():
    assert refused(GateUpPacking(), "y = mul(x, x) {} <>\nreturn y") == []


def test_packed_paths():
    assert packed_path(["d.q.weight", "d.k.weight", "d.v.weight"]) == "d.qkv.weight"
    assert packed_path(["d.gate.bias", "d.up.bias"]) == "d.gate_up.bias"
    assert packed_path(["s.weight", "t.u.weight"]) == "s_packed.weight"


def test_a_packed_name_that_exists_is_numbered():
    taken = attention(between='t = linear(x) {"width": 8} <weight=a.qkv.weight>').replace("return y", "return y, t")
    after, _ = applied(QkvPacking(), program(taken))
    assert set(after.recipes) == {"a.qkv_2.weight"} and "a.qkv.weight" in after.params
