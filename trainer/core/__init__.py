"""Symbolic sizes, tensors, variables, primitives and graphs."""
