"""The spec language: typed tree, checks, resolution, canonical form and hashes, layout, schemas, holes.

`load_spec` checks JSON and types; `resolve` checks names, numbers, causality and sources and fills in every default.
"""

from archspec.spec.canonical import canonical, canonical_precision, spec_hash, variant_hash
from archspec.spec.error import SpecError
from archspec.spec.holes import Hole, has_holes
from archspec.spec.layout import dump
from archspec.spec.load import load_spec
from archspec.spec.resolve import resolve
from archspec.spec.resolved import Layer, Resolved, ResolvedStack, branch_names, branches
from archspec.spec.schema import space_schema, spec_schema
from archspec.spec.space import Space, load_space
from archspec.spec.tree import Spec

__all__ = [
    "Hole",
    "Layer",
    "Resolved",
    "ResolvedStack",
    "Space",
    "Spec",
    "SpecError",
    "branch_names",
    "branches",
    "canonical",
    "canonical_precision",
    "dump",
    "has_holes",
    "load_space",
    "load_spec",
    "resolve",
    "space_schema",
    "spec_hash",
    "spec_schema",
    "variant_hash",
]
