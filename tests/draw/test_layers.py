"""The layout: nodes apart, edges downwards, clear of the boxes they pass."""

from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from compiler.draw.layers import GAP_X, arrange


@st.composite
def graphs(draw):
    """Sizes by name, and edges from earlier to later names."""
    count = draw(st.integers(1, 9))
    names = [f"n{i}" for i in range(count)]
    size = st.tuples(st.integers(30, 200), st.integers(20, 60))
    pairs = [(a, b) for i, a in enumerate(names) for b in names[i + 1 :]]
    chosen = draw(st.lists(st.sampled_from(pairs), max_size=14, unique=True)) if pairs else []
    return {name: draw(size) for name in names}, [(a, b, a) for a, b in chosen]


@settings(max_examples=80, deadline=None)
@given(graphs())
def test_any_graph(graph):
    sizes, edges = graph
    layout = arrange(sizes, edges)
    boxes = {
        name: (x - sizes[name][0] / 2, y, x + sizes[name][0] / 2, y + sizes[name][1])
        for name, (x, y) in layout.places.items()
    }
    assert set(boxes) == set(sizes)
    for name, (left, top, right, bottom) in boxes.items():
        assert left >= -1e-6 and right <= layout.width + 1e-6 and top >= 0 and bottom <= layout.height + 1e-6
        for other, (a, b, c, d) in boxes.items():
            apart = right + GAP_X - 1e-6 <= a or c + GAP_X - 1e-6 <= left or bottom <= b or d <= top
            assert name == other or apart
    for (start, stop, _), points in layout.routes.items():
        assert points[0][1] == boxes[start][3] and points[-1][1] <= boxes[stop][1] + 1e-6
        assert all(below[1] >= above[1] for above, below in pairwise(points))
        assert boxes[stop][0] <= points[-1][0] <= boxes[stop][2]
        for (x, y), (_, y2) in zip(points[1:-1:2], points[2:-1:2], strict=True):  # straight through a layer
            for name, (left, top, right, bottom) in boxes.items():
                assert not (left < x < right and top < y2 and bottom > y) or name in (start, stop)


def test_a_chain_is_straight_and_its_detour_is_a_line():
    sizes = dict.fromkeys("abcd", (100, 40))
    edges = [("a", "b", "a"), ("b", "c", "b"), ("c", "d", "c"), ("a", "d", "a")]
    layout = arrange(sizes, edges)
    xs = [layout.places[name][0] for name in "abcd"]
    assert max(xs) - min(xs) < 10
    detour = layout.routes["a", "d", "a"]
    assert len({round(x, 3) for x, _ in detour[1:-1]}) == 1
