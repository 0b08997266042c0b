"""Pictures without system packages: diagrams of models and charts of their training, as SVG or PNG."""

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
