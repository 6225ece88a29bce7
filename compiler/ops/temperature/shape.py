"""x (B, H, S, D) times 1 + scale·log(1 + floor((position + 1) / floor)), positions (B, S).

Queries grow sharper with the length seen (Llama 4's attention temperature; scalable softmax, arXiv 2501.19399).
"""

from compiler.ops.base import REQUIRED, Op


class Temperature(Op):
    name = "temperature"
    saves = ()
    fields = {"floor": REQUIRED, "scale": REQUIRED}
    n_inputs = (2, 2)


OP = Temperature()
