"""A sum and the norm that reads it become add_norm."""

import pytest

from compiler.passes.residual_norm import ResidualNorm
from tests.passes.graphs import applied, lines, program, refused, rewritten, text

TWO = "x: float[B, S, 8], y: float[B, S, 8]"


def test_pre_norm_reads_the_sum_which_goes_on():
    after = rewritten(ResidualNorm(), """
        s = add(x, y) {"left": 1, "right": 0.5} <>
        n = rms_norm(s) {"eps": 1e-06} <weight=g>
        z = add(s, n) {} <>
        return z
    """, TWO)  # fmt: skip
    assert after == text("""
        s, n = add_norm(x, y) {"left": 1, "right": 0.5, "norm": "rms_norm", "eps": 1e-06, "gain": "weight", \
"bias": false, "eps_at": "inside", "at_least": "fp32"} <weight=g>
        z = add(s, n) {} <>
        return z
    """)


@pytest.mark.parametrize("gain", ["weight", "one_plus", "none"])
@pytest.mark.parametrize("eps_at", ["inside", "outside"])
@pytest.mark.parametrize("norm", ["rms_norm", "layer_norm"])
def test_every_form_of_the_norm_keeps_its_meaning(norm, eps_at, gain):
    params = "bias=b" if gain == "none" else "weight=g, bias=b"
    after = rewritten(ResidualNorm(), f"""
        s = add(x, y) {{}} <>
        n = {norm}(s) {{"eps": 1e-05, "bias": true, "gain": "{gain}", "eps_at": "{eps_at}"}} <{params}>
        return n
    """, TWO)  # fmt: skip
    assert after.startswith("s, n = add_norm(x, y)")


def test_one_of_two_norms_is_joined():
    after, record = applied(ResidualNorm(), program("""
        s = add(x, y) {} <>
        n = rms_norm(s) {"eps": 1e-06} <weight=g>
        m = rms_norm(s) {"eps": 1e-06} <weight=h>
        return n, m
    """, TWO))  # fmt: skip
    assert [node.op for node in after.main.nodes] == ["add_norm", "rms_norm"]
    assert [r.reason for r in record.refused] == ["s has its norm already"]
    assert lines(after).endswith('m = rms_norm(s) {"eps": 1e-06} <weight=h>\nreturn n, m')


def test_stays():
    norm = 'n = rms_norm(x) {"eps": 1e-06} <weight=g>\nreturn n'
    assert refused(ResidualNorm(), norm) == ["the sum behind x is in another graph"]
    wide = 's = add(x, y) {} <>\nn = rms_norm(s) {"eps": 1e-06} <weight=g>\nreturn n'
    assert refused(ResidualNorm(), wide, "x: float[B, S, 8], y: float[1, S, 8]") == ["s broadcasts"]
    grouped = 's = add(x, y) {} <>\nn = rms_norm(s) {"eps": 1e-06, "groups": 2} <weight=g>\nreturn n'
    assert refused(ResidualNorm(), grouped, TWO) == ["n has groups 2"]
    other = 's = scale(x) {"by": 2} <>\nn = rms_norm(s) {"eps": 1e-06} <weight=g>\nreturn n'
    assert refused(ResidualNorm(), other) == []  # no sum, no candidate
