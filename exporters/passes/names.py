"""Gives weights that were transposed or merged the name of their variable, where nothing else has it."""

from __future__ import annotations

from .scope import Scope


def name_weights(scope: Scope) -> bool:
    """Before: dead initializers are removed. After: a variable whose array is not itself in the file lends its name to
    the first initializer that comes from it."""
    root = scope.shared.root
    if scope.graph is not root:
        return False
    renamed: dict[str, str] = {}
    given: set[str] = set()
    for name, origin in root.origins.items():
        wanted = origin.variable
        if name != wanted and wanted not in root.initializers and wanted not in given:
            renamed[name] = wanted
            given.add(wanted)
    root.rename(renamed)
    scope.shared.derived = {k: renamed.get(v, v) for k, v in scope.shared.derived.items()}
    return bool(renamed)
