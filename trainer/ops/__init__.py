"""Operators on tensors, one file a family."""
