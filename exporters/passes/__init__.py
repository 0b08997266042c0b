"""Passes that improve an ONNX graph: each a function of a `Scope` that says whether it changed anything."""
