"""Initializers: the values weights begin with."""
