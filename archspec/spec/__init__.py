"""The spec language: typed tree, checks, resolution, canonical form and hashes, schemas, holes."""

from archspec.spec.load import load_spec
from archspec.spec.resolve import resolve
from archspec.spec.resolved import Layer, Resolved, ResolvedStack, branch_names, branches
from archspec.spec.tree import Spec

__all__ = ["Layer", "Resolved", "ResolvedStack", "Spec", "branch_names", "branches", "load_spec", "resolve"]
