import math

import pytest

from archspec.spec.formula import FormulaError, evaluate, names


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("=4*d", 256),
        ("4*d", 256),
        ("=d/4", 16),
        ("=d/3", 64 / 3),
        ("=2**-5", 2**-5),
        ("=-d+1", -63),
        ("=1/sqrt(d)", 0.125),
        ("=round(8*d/3/256)*256", 256),
        ("=(2*n)**0.5", 2.0),
        ("=max(d, n, 3)", 64),
        ("=min(d)", 64),
        ("=floor(7/2)", 3),
        ("=log(exp(2))", 2.0),
        ("=1-2**(-5-n)", 1 - 2**-7),
        ("=round(2.5)", 2),
        ("=1e-5", 1e-5),
    ],
)
def test_value(text: str, value: float) -> None:
    found = evaluate(text, {"d": 64, "n": 2})
    assert found == pytest.approx(value, rel=1e-15)
    assert type(found) is type(value)


def test_whole_division_stays_exact() -> None:
    assert evaluate("=a/b", {"a": 3 * 10**17, "b": 3}) == 10**17


def test_names() -> None:
    assert names("=max(d_model, 4*layer)") == {"d_model", "layer"}


@pytest.mark.parametrize(
    "text",
    [
        "=__import__('os').system('true')",
        "=().__class__",
        "=d.real",
        "=d[0]",
        "=[d]",
        "={d}",
        "=lambda: d",
        "=d if d else d",
        "=d and d",
        "=not d",
        "=d == d",
        "=d // 2",
        "=d % 2",
        "=d @ d",
        "=d << 200",
        "=~d",
        "=(d := 3)",
        "=f'{d}'",
        "='text'",
        "=True",
        "=1j",
        "=None",
        "=eval(d)",
        "=sqrt(x=d)",
        "=sqrt(*d)",
        "=sqrt()",
        "=sqrt(d, d)",
        "=print(d)",
        "=d d",
        "=",
        "",
        "=d +",
        "=d\x00",
        "=d\n+1",
        "=" + "(" * 250 + "d" + ")" * 250,
        "=" + "1+" * 5000 + "1",
        "=" + "9" * 290,
        "=unknown",
    ],
)
def test_refused(text: str) -> None:
    with pytest.raises(FormulaError):
        evaluate(text, {"d": 64})


@pytest.mark.parametrize(
    "text",
    [
        "=9**9**9",
        "=9**9**9**9",
        "=1e39*1e39",
        "=exp(1000)",
        "=log(0)",
        "=1/0",
        "=0**-1",
        "=sqrt(-1)",
        "=(-8)**(1/3)",
        "=1e400",
        "=10**41",
    ],
)
def test_no_value(text: str) -> None:
    with pytest.raises(FormulaError):
        evaluate(text, {})


def test_large_powers_of_one_are_quick() -> None:
    assert evaluate("=1**999999999", {}) == 1
    assert evaluate("=(-1)**999999999", {}) == -1
    assert evaluate("=0.5**999999999", {}) == 0


def test_unknown_name_suggests() -> None:
    with pytest.raises(FormulaError, match="did you mean 'd_model'"):
        evaluate("=d_modle", {"d_model": 3})


def test_nothing_runs() -> None:
    ran = []

    class Trap(dict):  # type: ignore[type-arg]
        def __missing__(self, key: str) -> float:
            ran.append(key)
            return math.pi

    with pytest.raises(FormulaError):
        evaluate("=a.b(c)", Trap())
    assert not ran
