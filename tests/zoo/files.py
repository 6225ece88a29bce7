"""The tables beside these tests: text files of `name value` lines, so that a change is a line in a diff."""

import math
from functools import cache
from pathlib import Path

from archspec import zoo
from archspec.errors import InputError
from archspec.spec import Resolved, load_spec, resolve
from compiler.lower.program import lower

HERE = Path(__file__).parent


def table(name: str) -> dict[str, str]:
    """The lines of a table: the first word, and the rest. `#` begins a comment."""
    lines = (line.split("#", 1)[0] for line in (HERE / name).read_text().splitlines())
    words = (line.split(None, 1) for line in lines if line.strip())
    return {name: value.strip() for name, value in words}


@cache
def resolved(name: str) -> Resolved:
    return resolve(load_spec(zoo.path(name)))


@cache
def lowered(name: str) -> int | str:
    """The number of parameters, or why the compiler cannot lower the spec."""
    try:
        program = lower(resolved(name))
    except InputError as error:
        return error.message
    return sum(math.prod(param.shape) for param in program.parameter_paths().values())
