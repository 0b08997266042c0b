"""`Model.check`: what is wrong, or most likely not as meant, in a model and its data, before anything is trained."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..trainer.core.errors import DtypeError, ShapeError, SymbolicValueError
from ..trainer.core.tree import map_structure
from ..trainer.data.structure import arrays_of
from .check_data import check_data
from .check_files import check_files
from .check_gradients import check_gradients
from .check_heads import check_heads
from .check_layers import check_layers
from .check_report import CheckReport, Finding
from .check_subject import Subject

RULES = (check_gradients, check_heads, check_layers, check_files)


def check_model(model: Any, x: Any = None, y: Any = None) -> CheckReport:
    """What `Model.check` does."""
    title = f"Check of '{model.name}' ({type(model).__name__})"
    try:
        if not model.built and x is not None:
            model(map_structure(lambda a: np.asarray(a)[:1], arrays_of(x, "x")))
        subject = Subject(model)
    except (ShapeError, DtypeError, SymbolicValueError, NotImplementedError) as error:
        fix = "Repair the line named above; the rest is checked when the model can be traced."
        return CheckReport(title, [Finding("error", "no_graph", "", str(error), fix)])
    findings = [finding for rule in RULES for finding in rule(subject)]
    if x is not None or y is not None:
        findings += check_data(subject, x, y)
    return CheckReport(title, findings)
