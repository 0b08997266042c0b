"""Layers, and models made of them in three styles: Sequential, Functional and subclassed."""
