"""Bias and activation become part of the linear before them."""

from compiler.passes.activation_epilogue import ActivationEpilogue
from compiler.passes.bias_epilogue import BiasEpilogue
from tests.passes.graphs import applied, lines, program, refused, rewritten, text


def test_bias_joins_its_linear():
    after = rewritten(BiasEpilogue(), """
        y = linear(x) {"width": 6} <weight=w>
        z = bias(y) {} <bias=b>
        n = scale(z) {"by": 2} <>
        return n
    """)  # fmt: skip
    assert after == text("""
        y = linear(x) {"width": 6, "bias": true} <weight=w, bias=b>
        n = scale(y) {"by": 2} <>
        return n
    """)


def test_an_output_keeps_its_name():
    after = rewritten(BiasEpilogue(), 'y = linear(x) {"width": 6} <weight=w>\nz = bias(y) {} <bias=b>\nreturn z')
    assert after == 'z = linear(x) {"width": 6, "bias": true} <weight=w, bias=b>\nreturn z'


def test_bias_stays_where_the_product_is_read_without_it():
    assert refused(BiasEpilogue(), """
        y = linear(x) {"width": 8} <weight=w>
        z = bias(y) {} <bias=b>
        s = add(y, z) {} <>
        return s
    """) == ["y is also read without the bias"]  # fmt: skip


def test_bias_stays_without_a_linear():
    assert refused(BiasEpilogue(), "z = bias(x) {} <bias=b>\nreturn z") == ["the bias follows no linear"]


def test_bias_stays_after_an_activation():
    assert refused(BiasEpilogue(), """
        y = linear(x) {"width": 8, "activation": "relu"} <weight=w>
        z = bias(y) {} <bias=b>
        return z
    """) == ["y applies relu before the bias"]  # fmt: skip


def test_second_bias_stays():
    after, record = applied(BiasEpilogue(), program("""
        y = linear(x) {"width": 8} <weight=w>
        z = bias(y) {} <bias=b>
        t = bias(z) {} <bias=c>
        return t
    """))  # fmt: skip
    assert lines(after) == text("""
        y = linear(x) {"width": 8, "bias": true} <weight=w, bias=b>
        t = bias(y) {} <bias=c>
        return t
    """)
    assert [r.reason for r in record.refused] == ["y has a bias already"]
    assert record.saved == {"nodes": 1, "elements_per_token": 16}  # one read and one write of 8


def test_activation_joins_its_linear():
    after = rewritten(ActivationEpilogue(), """
        y = linear(x) {"width": 6, "bias": true} <weight=w, bias=b>
        z = activation(y) {"function": "gelu"} <>
        n = linear(z) {"width": 8} <weight=u>
        return n
    """)  # fmt: skip
    assert after == text("""
        y = linear(x) {"width": 6, "bias": true, "activation": "gelu"} <weight=w, bias=b>
        n = linear(y) {"width": 8} <weight=u>
        return n
    """)


def test_activation_stays():
    alone = 'z = activation(x) {"function": "gelu"} <>\nreturn z'
    assert refused(ActivationEpilogue(), alone) == ["the activation follows no linear"]
    shared = 'y = linear(x) {"width": 8} <weight=w>\nz = activation(y) {"function": "gelu"} <>\nreturn z, y'
    assert refused(ActivationEpilogue(), shared) == ["y is also read without the activation"]
    softmax = 'y = linear(x) {"width": 8} <weight=w>\nz = activation(y) {"function": "softmax"} <>\nreturn z'
    assert refused(ActivationEpilogue(), softmax) == ["softmax is not elementwise"]
