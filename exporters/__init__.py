"""Graphs to ONNX files and back, and the onnxruntime sessions that run them."""
