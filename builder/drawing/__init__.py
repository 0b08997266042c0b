"""Pictures without system packages: diagrams of models and charts of their training, as SVG or PNG.

Loaded when the first picture is drawn: it would be a sixth of the time that importing the library takes.
"""

from typing import TYPE_CHECKING

from ...trainer.core.later import loaded_later

if TYPE_CHECKING:
    from .bars import bar_chart
    from .chart import figure_grid, line_chart
    from .diagram import DiagramCluster, DiagramEdge, DiagramNode, model_diagram
    from .output import check_path, write
    from .png import to_png
    from .scene import Circle, Group, Path, Rectangle, Scene, Text
    from .svg import to_svg

__all__ = [
    "Circle",
    "DiagramCluster",
    "DiagramEdge",
    "DiagramNode",
    "Group",
    "Path",
    "Rectangle",
    "Scene",
    "Text",
    "bar_chart",
    "check_path",
    "figure_grid",
    "line_chart",
    "model_diagram",
    "to_png",
    "to_svg",
    "write",
]

__getattr__, __dir__ = loaded_later(
    __name__,
    {
        "bar_chart": ".bars",
        **dict.fromkeys(("figure_grid", "line_chart"), ".chart"),
        **dict.fromkeys(("DiagramCluster", "DiagramEdge", "DiagramNode", "model_diagram"), ".diagram"),
        **dict.fromkeys(("check_path", "write"), ".output"),
        "to_png": ".png",
        **dict.fromkeys(("Circle", "Group", "Path", "Rectangle", "Scene", "Text"), ".scene"),
        "to_svg": ".svg",
    },
)
