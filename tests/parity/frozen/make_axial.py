"""Fixture of axial-attention 0.6.1: two dimensions with their own weights, the results summed.

pip install torch==2.13.0 safetensors numpy
pip install --no-deps axial-attention==0.6.1
python -m tests.parity.frozen.make_axial
"""

import torch
from axial_attention import AxialAttention

from tests.parity.frozen.drawing import drawn, redraw, save


@torch.no_grad()
def main() -> None:
    grid = drawn("grid", 2, 16, 5, 6)  # its channels first, as in its own examples of images
    model = redraw(AxialAttention(dim=16, heads=2, num_dimensions=2, dim_index=1, sum_axial_out=True))
    cube = drawn("cube", 2, 3, 4, 2, 16)
    three = redraw(AxialAttention(dim=16, heads=2, num_dimensions=3, dim_index=-1, sum_axial_out=True))
    save("axial", model, {"grid": grid}, {"out": model(grid)})
    save("axial_3d", three, {"grid": cube}, {"out": three(cube)})


if __name__ == "__main__":
    main()
