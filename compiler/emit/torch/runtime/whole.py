"""A model that sees all its tokens at once."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from compiler.emit.torch.runtime.base import Base


class Whole(Base):
    """A model that sees all tokens at once: the subclass gives `run` and says why it cannot step."""

    refusal = ""

    def run(self, ids: Tensor, mask: Tensor | None, positions: Tensor | None, **others: Tensor | None) -> Tensor:
        raise NotImplementedError

    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor | None = None,
        position_ids: Tensor | None = None,
        **others: Tensor | None,
    ) -> Tensor:
        """input_ids (B, S), attention_mask (B, S) with 0 at padding -> (B, S, ...)."""
        return self.run(input_ids, attention_mask, position_ids, **others)

    def new_state(self, *_: Any, **__: Any) -> None:
        """Always refused."""
        raise RuntimeError(f"this model cannot run step by step: {self.refusal}")

    step = generate = stream = new_state

    @torch.no_grad()
    def demonstrate(self, vocabulary: int) -> str:
        """One pass over random ids, told."""
        out = self(torch.randint(vocabulary, (1, 8), device=next(self.parameters()).device))
        return f"one pass over 8 random tokens: output {tuple(out.shape)} in {out.dtype}"
