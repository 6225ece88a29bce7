"""Weights, inputs and outputs of references that need packages of their own, each made by a script beside it."""
