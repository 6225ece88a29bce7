"""Proposes architectures under a memory budget and keeps what they cost."""
