"""A model that sees all its tokens at once."""

from __future__ import annotations

from typing import Any

import torch

from compiler.emit.torch.runtime.base import Base


class Whole(Base):
    """A model that sees all tokens at once: the subclass gives `forward` and says why it cannot step."""

    refusal = ""

    def new_state(self, *_: Any, **__: Any) -> None:
        """Always refused."""
        raise RuntimeError(f"this model cannot run step by step: {self.refusal}")

    step = generate = stream = new_state

    @torch.no_grad()
    def demonstrate(self) -> str:
        """One pass over random inputs, told."""
        given = self.example()
        out = self(**given)
        return f"one pass over 8 random tokens: output {tuple(out.shape)} in {out.dtype}"
