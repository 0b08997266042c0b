"""Graphs with effects, run by onnxruntime: training steps and functions whose variables stay inside it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..trainer.core.dims import is_static
from ..trainer.core.graph import Graph
from .convert import DEFAULT_OPSET
from .passes.flat_updates import flatten_updates
from .resident import Resident, bring_over, note_run, resident, resident_row
from .runtime import device_value, engine_device, explain, session
from .serialize import model_proto
from .state_graph import StateGraph

ROWS_ON_GPU = {"largest": 1 << 22, "unit": 32}
"""There starting an operator takes longer than moving 16 MB, and weights start at multiples of 128 bytes."""


class Engine:
    """One graph in one onnxruntime session; runs on arrays of the shapes it was made for.

    Raises `NotImplementedError` for a graph that ONNX cannot express, with the operation's name.
    """

    def __init__(self, graph: Graph, device: str = "cpu", threads: int = 1) -> None:
        self.device = device = engine_device(device)
        self.state = StateGraph(graph)
        lowered = self.state.lower(on_gpu=device != "cpu")
        next_names = {self.state.names[v]: self.state.new_name(v) for v in self.state.assigned}
        self.rows = flatten_updates(lowered, DEFAULT_OPSET, next_names, **(ROWS_ON_GPU if device != "cpu" else {}))
        named = {name: v for v, name in self.state.names.items()}
        self.beside = [[named[name] for name in row.states] for row in self.rows]
        in_rows = {v for variables in self.beside for v in variables}
        self.alone = [v for v in self.state.assigned if v not in in_rows]
        self.sources = lowered.sources()
        proto = model_proto(lowered, DEFAULT_OPSET, {})
        # on the CPU onnxruntime's own passes find nothing here that makes a step faster, and take longer than all else
        self.running = session(
            proto.SerializeToString(), device=device, threads=threads, plan_memory=False, optimize=device != "cpu"
        )
        self.declared = {x.name for x in self.running.get_inputs()}
        self.result_specs = [x.spec for x in graph.results]
        self.buffers = [
            np.empty(spec.shape, spec.dtype) if is_static(spec.shape) else None for spec in self.result_specs
        ]
        self.fixed = all(buffer is not None for buffer in self.buffers)
        self.read = [v for v in self.state.variables if self.state.names[v] in self.declared]
        self.homes: list[Resident] = []
        self.known: list[Resident] = []
        self.bindings: dict[tuple[int, ...], Any] = {}

    def __call__(self, arrays: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Results for input arrays; variables take their next values. What is returned is the caller's own."""
        binding = self._binding()
        for name, array in zip(self.state.inputs, arrays, strict=True):
            if name in self.declared:
                binding.bind_cpu_input(name, array)
        if not self.fixed:
            for name, buffer in zip(self.state.outputs, self.buffers, strict=True):
                if buffer is None:  # each run makes it anew, of another size
                    binding.bind_output(name)
        try:
            self.running.run_with_iobinding(binding)
        except Exception as error:
            if type(error).__module__.startswith("onnxruntime"):
                raise explain(error, self.sources) from error
            raise
        note_run(self.homes)
        if self.fixed:
            return [buffer.copy() for buffer in self.buffers if buffer is not None]
        count = sum(buffer is None for buffer in self.buffers)
        made = iter(binding.get_outputs()[-count:])  # bound after all others, hence the last
        return [next(made).numpy() if buffer is None else buffer.copy() for buffer in self.buffers]

    def _binding(self) -> Any:
        """Buffers bound for the present places of all variables; a run swaps those that are assigned."""
        homes: list[Any] = [v._home for v in self.state.variables]
        binding = self.bindings.get(tuple([home.place for home in homes])) if homes == self.known else None
        if binding is None:
            homes = self._settle()
            if homes != self.known:
                self.bindings.clear()
                self.known = homes
            binding = self.bindings[tuple([home.place for home in homes])] = self._bind()
        if True in [home.stale for home in homes]:
            bring_over(homes)
        return binding

    def let_go(self) -> None:
        """Keep no buffers for the next run."""
        self.homes, self.known = [], []
        self.bindings.clear()

    def _settle(self) -> list[Resident]:
        """The buffers of all variables, side by side where the graph wants it."""
        for variables in self.beside:
            resident_row(variables, self.device)
        return [resident(variable, self.device) for variable in self.state.variables]

    def _bind(self) -> Any:
        binding = self.running.io_binding()
        names = self.state.names
        for variable in self.read:
            resident(variable, self.device).bind(binding, names[variable])
        for name, buffer in zip(self.state.outputs, self.buffers, strict=True):
            if buffer is not None:
                binding.bind_ortvalue_output(name, device_value(buffer, "cpu"))
        self.homes = [resident(variable, self.device) for variable in self.state.assigned]
        for variable in self.alone:
            resident(variable, self.device).bind_next(binding, self.state.new_name(variable))
        for row, variables in zip(self.rows, self.beside, strict=True):
            kept = resident_row(variables, self.device)
            if row.name in self.declared:
                binding.bind_ortvalue_input(row.name, kept.buffers.values[kept.place])
            binding.bind_ortvalue_output(row.new_name, kept.buffers.values[1 - kept.place])
        return binding
