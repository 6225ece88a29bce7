"""Text for generated files: keys mixed along the sequence (arXiv 2006.04768)."""

from torch import Tensor


def mix_rows(x: Tensor, weight: Tensor) -> Tensor:
    """weight (rank, length) on the rows of x (B, S, d), S at most length: (B, rank, d)."""
    if x.shape[1] > weight.shape[1]:
        raise ValueError(f"the model takes {weight.shape[1]} tokens, found {x.shape[1]}")
    return weight[:, : x.shape[1]] @ x
