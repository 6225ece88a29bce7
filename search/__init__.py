"""Proposes architectures under a memory budget and keeps what they cost."""

from search.api import run
from search.loop import Progress, SearchResult

__all__ = ["Progress", "SearchResult", "run"]
