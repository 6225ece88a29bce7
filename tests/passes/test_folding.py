"""Constant folding, common subexpressions, dead nodes."""

import pytest

from compiler.passes.common_subexpressions import CommonSubexpressions
from compiler.passes.constant_folding import ConstantFolding
from compiler.passes.dead_nodes import DeadNodes
from tests.passes.graphs import applied, lines, program, refused, rewritten, text


@pytest.mark.parametrize(
    "idle", ['scale(x) {"by": 1, "plus": 0}', 'concat(x) {}', 'split(x) {"sizes": [8]}']
)  # fmt: skip
def test_a_step_that_changes_nothing_goes(idle):
    after = rewritten(ConstantFolding(), f"a = {idle} <>\nb = add(a, x) {{}} <>\nreturn b")
    assert after == "b = add(x, x) {} <>\nreturn b"


def test_an_output_of_the_model_keeps_its_name():
    reasons = refused(ConstantFolding(), 'a = scale(x) {"by": 1.0} <>\nreturn a')
    assert reasons == ["a is an output of the model"]
    twins = 'a = scale(x) {"by": 2} <>\nb = scale(x) {"by": 2} <>\nreturn a, b'
    assert refused(CommonSubexpressions(), twins) == ["b is an output of the model"]


def test_factors_meet():
    after = rewritten(ConstantFolding(), """
        a = scale(x) {"by": 3, "plus": 1} <>
        b = scale(a) {"by": 2, "plus": 5} <>
        c = scale(b) {"by": 0.5} <>
        return c
    """)  # fmt: skip
    assert after == 'c = scale(x) {"by": 3.0, "plus": 3.5} <>\nreturn c'


def test_a_factor_goes_into_the_sum():
    after = rewritten(ConstantFolding(), """
        a = scale(x) {"by": 3} <>
        b = scale(y) {"by": 5} <>
        s = add(a, b) {"right": 2} <>
        return s
    """, "x: float[B, S, 8], y: float[B, S, 8]")  # fmt: skip
    assert after == 's = add(x, y) {"right": 10, "left": 3} <>\nreturn s'


def test_factors_that_others_read_stay():
    assert refused(ConstantFolding(), """
        a = scale(x) {"by": 3} <>
        b = scale(a) {"by": 2} <>
        return b, a
    """) == ["a is read elsewhere too"]  # fmt: skip
    assert refused(ConstantFolding(), """
        a = scale(x) {"by": 3, "plus": 1} <>
        s = add(x, a) {} <>
        return s
    """) == ["a also adds a constant"]  # fmt: skip
    assert refused(ConstantFolding(), """
        a = scale(x) {"by": 3} <>
        s = add(a, a) {} <>
        return s
    """) == ["a is read elsewhere too"]  # fmt: skip


def test_the_same_is_computed_once():
    after = rewritten(CommonSubexpressions(), """
        a = linear(x) {"width": 4} <weight=w>
        b = linear(x) {"width": 4, "bias": false} <weight=w>
        c = activation(a) {"function": "relu"} <>
        d = activation(b) {"function": "relu"} <>
        e = add(c, d) {} <>
        return e
    """)  # fmt: skip
    assert after == text("""
        a = linear(x) {"width": 4} <weight=w>
        c = activation(a) {"function": "relu"} <>
        e = add(c, c) {} <>
        return e
    """)


def test_what_differs_is_computed_twice():
    assert refused(CommonSubexpressions(), """
        a = linear(x) {"width": 8} <weight=w>
        b = linear(x) {"width": 8} <weight=u>
        c = linear(a) {"width": 8} <weight=w>
        d = scale(a) {"by": 2} <>
        e = scale(a) {"by": 3} <>
        return b, c, d, e
    """) == []  # fmt: skip


def test_dead_nodes_go_in_one_run():
    after, record = applied(DeadNodes(), program("""
        a = scale(x) {"by": 2} <>
        b = linear(a) {"width": 4} <weight=w>
        c, d = split(b) {"sizes": [1, 3]} <>
        e = scale(x) {"by": 3} <>
        return e
    """))  # fmt: skip
    assert lines(after) == 'e = scale(x) {"by": 3} <>\nreturn e'
    assert after.params == {} and record.matched == 3


def test_a_node_lives_by_one_of_its_outputs():
    assert refused(DeadNodes(), """
        a, b = split(x) {"sizes": [3, 5]} <>
        return b
    """) == []  # fmt: skip
