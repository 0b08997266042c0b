"""The house keeps its rules, and each rule can be broken."""

from collections.abc import Callable
from pathlib import Path

import pytest
from house_rules import RULES, House

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def house() -> House:
    return House.standing_at(ROOT)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_house_keeps_rule(house: House, rule: Callable[[House], list[str]]):
    offences = rule(house)
    assert not offences, f"{rule.__doc__}\n" + "\n".join(offences)


def test_the_whole_house_is_read(house: House):
    assert {"", "version", "trainer.core", "trainer.data.datasets.digits", "exporters", "builder", "models"} <= set(
        house.modules
    )


GOOD = {
    "__init__.py": "from . import builder, models\nfrom .builder import Model\nfrom .version import __version__",
    "__main__.py": "from .builder import model",
    "version.py": '__version__ = "1"',
    "trainer/__init__.py": "",
    "trainer/core/__init__.py": "from .tensor import Tensor\nfrom . import dims",
    "trainer/core/dims.py": "import numpy as np",
    "trainer/core/tensor.py": "from . import dims\nfrom .dims import Dim",
    "trainer/ops/__init__.py": "from ..core import Tensor",
    "trainer/gradient.py": "from .core.tensor import Tensor\nfrom . import ops",
    "trainer/loop.py": "from .gradient import grad\nfrom ..version import __version__",
    "exporters/__init__.py": "from ..trainer.gradient import grad",
    "exporters/writer.py": "def write():\n    import onnx\n    from onnx import helper\n",
    "exporters/runtime.py": "def run():\n    import onnxruntime\n",
    "exporters/lazy.py": "import importlib\nonnx = LazyModule('onnx')",
    "exporters/reader.py": "from .lazy import onnx",
    "builder/__init__.py": "from .. import trainer\nfrom ..exporters import writer\nfrom .model import Model",
    "builder/model.py": "from ..trainer import loop\ndef picture():\n    from PIL import Image\n",
    "models/__init__.py": "from ..builder import Model",
}

# Rule, file, what is written into it, and the offence that must be named.
BAD = [
    ("one_way_imports", "trainer/core/dims.py", "from ..ops import add", "(trainer.core) imports trainer.ops"),
    ("one_way_imports", "trainer/core/dims.py", "from .. import loop", "(trainer.core) imports trainer.loop"),
    ("one_way_imports", "trainer/ops/add.py", "from ..gradient import grad", "(trainer.ops) imports trainer.gradient"),
    ("one_way_imports", "trainer/gradient.py", "from . import loop", "(trainer.gradient) imports trainer.loop"),
    ("one_way_imports", "trainer/loop.py", "from ..exporters import writer", "(trainer) imports exporters.writer"),
    ("one_way_imports", "exporters/writer.py", "from ..trainer import loop", "(exporters) imports trainer.loop"),
    ("one_way_imports", "exporters/writer.py", "from .. import builder", "(exporters) imports builder"),
    ("one_way_imports", "builder/model.py", "from ..models import vgg", "(builder) imports models"),
    ("one_way_imports", "builder/model.py", "from .. import Model", "(builder) imports the public face"),
    ("one_way_imports", "models/vgg.py", "import sardonyx", "(models) imports the public face"),
    ("one_way_imports", "models/vgg.py", "from ... import numpy", "(models) imports what lies outside the package"),
    ("one_way_imports", "version.py", "from .trainer import core", "(version) imports trainer.core"),
    (
        "one_way_imports",
        "trainer/loop.py",
        "def f():\n    from ..builder import model",
        "(trainer) imports builder.model",
    ),
    (
        "one_way_imports",
        "trainer/core/dims.py",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from ..ops import add",
        "(trainer.core) imports trainer.ops",
    ),
    ("no_cycles", "trainer/core/dims.py", "from .tensor import Tensor", "trainer.core.dims -> trainer.core.tensor"),
    ("no_cycles", "trainer/core/tensor.py", "from . import Tensor", "trainer.core -> trainer.core.tensor"),
    (
        "no_cycles",
        "trainer/core/tensor.py",
        "try:\n    from . import Tensor\nfinally:\n    pass",
        "trainer.core -> trainer.core.tensor",
    ),
    (
        "no_deferred_own_imports",
        "builder/model.py",
        "def f():\n    from ..trainer import loop",
        "builder/model.py:2 imports trainer.loop",
    ),
    (
        "no_deferred_own_imports",
        "builder/model.py",
        "class A:\n    def f(self):\n        from . import x",
        "model.py:3",
    ),
    (
        "no_deferred_own_imports",
        "builder/model.py",
        "def f():\n    return importlib.import_module('sardonyx.trainer')",
        "model.py:2 imports trainer",
    ),
    ("relative_own_imports", "models/vgg.py", "from sardonyx.builder import Model", "imports builder absolutely"),
    ("relative_own_imports", "models/vgg.py", "import trainer.core", "imports trainer.core absolutely"),
    (
        "other_packages_in_their_place",
        "builder/model.py",
        "def f():\n    import onnx",
        "onnx, which stands in exporters/ alone",
    ),
    ("other_packages_in_their_place", "trainer/loop.py", "def f():\n    from onnx import helper", "exporters/ alone"),
    (
        "other_packages_in_their_place",
        "exporters/writer.py",
        "def f():\n    import onnxruntime",
        "exporters/runtime.py alone",
    ),
    ("other_packages_in_their_place", "exporters/runtime.py", "import onnxruntime as ort", "at the top"),
    ("other_packages_in_their_place", "builder/model.py", "from PIL import Image", "at the top"),
    ("other_packages_in_their_place", "builder/model.py", "import keras", "keras, which is no dependency"),
    ("other_packages_in_their_place", "builder/model.py", "x = importlib.import_module('torch')", "torch, which is no"),
    (
        "other_packages_in_their_place",
        "builder/model.py",
        "from ..exporters.lazy import onnx",
        "imports exporters.lazy",
    ),
    (
        "other_packages_in_their_place",
        "builder/model.py",
        "onnx = LazyModule('onnx')",
        "onnx, which stands in exporters/",
    ),
    ("short_files", "models/vgg.py", "x = 1\n" * 401, "401 lines"),
    ("short_functions", "models/vgg.py", "def f():\n" + "    x = 1\n" * 60, "f: 61 lines"),
    ("short_functions", "models/vgg.py", "class A:\n  async def g(self):\n" + "    x = 1\n" * 60, "g: 61 lines"),
    ("no_code_from_data", "builder/model.py", "import pickle", "imports pickle"),
    ("no_code_from_data", "builder/model.py", "def f():\n    from marshal import loads", "imports marshal"),
    ("no_code_from_data", "builder/model.py", "def f(x):\n    return eval(x)", "uses eval"),
    ("no_code_from_data", "builder/model.py", "import builtins\nrun = builtins.exec", "uses builtins.exec"),
    ("no_code_from_data", "builder/model.py", "import builtins\nrun = builtins.compile", "builtins.compile"),
    ("no_code_from_data", "trainer/conversion/code.py", "import builtins\nrun = builtins.exec", "uses builtins.exec"),
    ("no_code_from_data", "builder/model.py", "np.load(f, allow_pickle=True)", "allow_pickle=True"),
    ("rooms_are_packages", "models/vision/vgg.py", "", "models/vision/ has no __init__.py"),
    ("rooms_are_packages", "helpers.py", "", "helpers.py lies outside the rooms"),
]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_good_house_has_no_offence(rule: Callable[[House], list[str]]):
    long_docstring = 'def f():\n    """' + "\n" * 80 + '    """\n' + "    x = 1\n" * 50
    assert rule(House({**GOOD, "models/vgg.py": "import numpy\n" + long_docstring})) == []


@pytest.mark.parametrize(("rule", "path", "source", "offence"), BAD, ids=[f"{row[0]}-{row[1]}" for row in BAD])
def test_rule_can_be_broken(rule: str, path: str, source: str, offence: str):
    check = {check.__name__: check for check in RULES}[rule]
    offences = check(House({**GOOD, path: source}))
    assert any(offence in text for text in offences), offences


def test_every_rule_has_a_bad_example():
    assert {row[0] for row in BAD} == {rule.__name__ for rule in RULES}
