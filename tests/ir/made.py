"""Random well-formed programs with any names, for property tests of the text form."""

from hypothesis import strategies as st

from archspec.interop.recipe import Concat, Slice, Stored
from compiler.ir.builder import Builder
from compiler.ir.graph import Node
from compiler.ir.program import Call, Param, Program, runs
from compiler.ir.types import TensorType

NAMES = st.text(min_size=1, max_size=8).filter(lambda s: s.splitlines() == [s] and "{" not in s) | st.sampled_from(
    ["x", "a.b", "_", "1", "a b", 'q"', "a, b", "->", "x) {", "# no", "S/2", "é", "return x", "param"]
)


@st.composite
def programs(draw: st.DrawFn) -> Program:
    """A chain of nodes over one input, some of them in a block that runs two or three times."""
    params: dict[str, Param] = {}
    batch = draw(st.sampled_from(["B", "S", "S_a b", "2*S+1"]))
    main = Builder(draw(NAMES), params)
    x = main.input(draw(NAMES), TensorType("float", (batch, 4)))
    stack = draw(NAMES)
    block = Builder(stack if stack != main.name else f"{stack}'", params)
    inner = block.input("h", main.types[x])
    for builder, value, home in ((block, inner, f"{{{block.name}}}"), (main, x, "")):
        for _ in range(draw(st.integers(1, 3))):
            value = chain(draw, builder, value, home)
        if builder is block:
            inner = value
        else:
            x = value
    calls = runs([Call(block.name, f"{stack}.{i}") for i in range(draw(st.integers(1, 3)))])
    out = main.fresh(draw(NAMES))
    main.append(Node("repeat", (x,), (out,), {"calls": calls}), (main.types[x],))
    recipes = {}
    for path in list(params)[: draw(st.integers(0, 2))]:
        parts = (Stored(draw(NAMES)), Slice(Stored(draw(NAMES)), 0, 1, 3))
        recipes[path] = Concat(parts, draw(st.integers(0, 1)))
    meta = {"note": draw(st.text(max_size=5)), "d_model": 4}
    graphs = {block.name: block.graph(inner)}
    return Program(draw(NAMES), main.graph(out), graphs, params, {"m": "ones"}, meta, recipes)


def chain(draw: st.DrawFn, b: Builder, x: str, home: str) -> str:
    """One more node on `x` that keeps its shape."""
    at = draw(NAMES)
    match draw(st.sampled_from(["scale", "linear", "add", "split"])):
        case "scale":
            return b.node("scale", x, at=at, by=draw(st.floats(allow_nan=False, allow_infinity=False)))
        case "linear":
            path = f"{home}.{draw(NAMES)}{len(b.params)}"
            return b.node("linear", x, at=at, params={"weight": path}, width=4, kind=draw(NAMES))
        case "add":
            return b.node("add", x, x, at=at, left=draw(st.integers(-3, 3)))
    left = b.node("split", x, at=at, outputs=("l", "r"), sizes=[1, 3])
    return b.node("concat", left, b.nodes[-1].outputs[1], at=at, axis=-1)
