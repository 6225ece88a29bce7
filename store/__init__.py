"""Keeps results: studies, architectures, variants, trials and metrics in one SQL database."""

from store.connect import DEFAULT_URL
from store.pareto import pareto_mask
from store.store import Store, open_store

__all__ = ["DEFAULT_URL", "Store", "open_store", "pareto_mask"]
