"""Parameters of a rewritten program from those of the program it came from."""

from collections.abc import Mapping

from torch import Tensor

from compiler.ir.program import Program
from compiler.weights.evaluate import evaluate


def pack(program: Program, params: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """What `program` reads, by full path; `params` has the full paths of the unrewritten program.

    KeyError names a path that is missing.
    """
    return {path: evaluate(recipe, params.__getitem__) for path, recipe in program.stored_recipes().items()}
