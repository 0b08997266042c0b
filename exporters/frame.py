"""What a model changed since it was read still has of its file: texts, versions of operators, functions, types."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from .convert import DEFAULT_OPSET
from .importer import opset_versions
from .lazy import onnx
from .mapped import filled
from .node_reading import plain_domain
from .opsets import OLDEST, newest_opset
from .source import Source


@dataclass
class Frame:
    """The files that parts of a graph come from, as far as the graph's own file goes on saying what they said.

    opsets: versions by domain
    """

    sources: Sequence[Source]
    opsets: dict[str, int] = field(default_factory=dict)

    def dress(self, model: Any, fill: bool = True) -> Any:
        """Complete a `ModelProto`: domains, functions, the texts of the first file, and (`fill`) contents that were
        left in files."""
        if not self.sources:
            return model
        first = self.sources[0].frame
        known = {plain_domain(x.domain) for x in model.opset_import}
        for domain, version in self.opsets.items():
            if domain not in known:
                model.opset_import.append(onnx.helper.make_opsetid(domain, version))
        _add_functions(model, self.sources)
        versions = [x.frame.ir_version for x in self.sources if x.frame.ir_version]
        model.ir_version = max([onnx.helper.find_min_ir_version_for(model.opset_import, True), *versions])
        graph = first.graph
        model.graph.name = graph.name or model.graph.name
        for message, own in ((model, first), (model.graph, graph)):
            if own.doc_string:
                message.doc_string = own.doc_string
        model.domain, model.model_version = first.domain, first.model_version
        given = {x.key for x in model.metadata_props}
        model.metadata_props.extend(x for x in first.metadata_props if x.key not in given)
        _describe(model.graph, [x.frame.graph for x in self.sources])
        for source in self.sources if fill else ():
            filled(model, source.mappings)
        return model


def _describe(graph: Any, sources: Sequence[Any]) -> None:
    """Doc strings of inputs and outputs of the same names."""
    for key in ("input", "output"):
        texts = {x.name: x.doc_string for source in sources for x in getattr(source, key) if x.doc_string}
        for x in getattr(graph, key):
            if x.name in texts:
                x.doc_string = texts[x.name]


def _add_functions(model: Any, sources: Sequence[Source]) -> None:
    """The functions of the files that nodes of the model call, and those that these call."""
    known = {(f.domain, f.name, getattr(f, "overload", "")): f for s in sources for f in s.frame.functions}
    if not known:
        return
    used: dict[Any, Any] = {}
    pending = list(_calls(model.graph.node))
    while pending:
        key = pending.pop()
        if key in known and key not in used:
            used[key] = known[key]
            pending.extend(_calls(known[key].node))
    model.functions.extend(f for key, f in known.items() if key in used)


def _calls(nodes: Any) -> list[Any]:
    found = []
    for node in nodes:
        found.append((node.domain, node.op_type, getattr(node, "overload", "")))
        for attribute in node.attribute:
            if attribute.HasField("g"):
                found += _calls(attribute.g.node)
    return found


def frame_of(sources: Sequence[Source], opset: int | None, all_kept: bool) -> Frame:
    """The frame of a graph whose parts come from files.

    opset: the version that was asked for
    all_kept: whether every node is kept, so that old versions of operators need not be written anew
    """
    opsets: dict[str, int] = {}
    for source in sources:
        for domain, version in opset_versions(source.frame).items():
            opsets[domain] = max(version, opsets.get(domain, 0))
    own = opsets.get("", 0)
    same = len({opset_versions(source.frame).get("", own) for source in sources}) == 1
    if opset is not None:
        opsets[""] = opset
    elif not (all_kept and same) and not OLDEST <= own <= newest_opset():
        opsets[""] = DEFAULT_OPSET
    return Frame(sources, opsets)
