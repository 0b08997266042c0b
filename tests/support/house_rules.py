"""The rules of the house, read from the source text alone: each rule maps a `House` to the list of its offences."""

import ast
import builtins
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

PACKAGE = "sardonyx"
ROOMS = ("builder", "exporters", "models", "trainer")
ROOT_FILES = ("__init__.py", "__main__.py", "version.py")
MAX_FILE_LINES = 400
MAX_FUNCTION_LINES = 60

# A module belongs to the layer with the longest prefix of its name; a layer may import itself and what is listed.
LAYERS: dict[str, tuple[str, ...]] = {
    "version": (),
    "trainer.core": ("version",),
    "trainer.ops": ("trainer.core", "version"),
    "trainer.gradient": ("trainer.ops", "trainer.core", "version"),
    "trainer": ("trainer.gradient", "trainer.ops", "trainer.core", "version"),
    "exporters": ("trainer.gradient", "trainer.ops", "trainer.core", "version"),
    "builder": ("exporters", "trainer", "trainer.gradient", "trainer.ops", "trainer.core", "version"),
    "models": ("builder", "exporters", "trainer", "trainer.gradient", "trainer.ops", "trainer.core", "version"),
}
FACE = ("", "__main__")  # the public face and the command line see every layer, and no layer sees them

EAGER_PACKAGES = ("numpy",)
# Where each other package may be imported, and then only inside a function: `import sardonyx` stays quick.
LAZY_PACKAGES: dict[str, tuple[str, ...]] = {
    "onnx": ("exporters/",),
    "onnxruntime": ("exporters/runtime.py",),
    "PIL": ("",),
    "h5py": ("builder/keras_weights.py",),
    "pooch": ("models/",),
    "safetensors": ("",),
    "threadpoolctl": ("",),
}
LAZY_MODULE = "exporters.lazy"  # stands for onnx until it is used, so it stays behind the same door
CODE_LOADERS = ("pickle", "_pickle", "cloudpickle", "dill", "joblib", "marshal", "shelve")
CODE_RUNNERS = ("eval", "exec", "__import__")
# The one file that makes code: of functions that run in this process already, rewritten; of nothing that was read.
CODE_MAKERS = {"trainer/conversion/code.py": "builtins.compile"}


@dataclass(frozen=True)
class Import:
    """One import of one module: `target` is a dotted name, relative to the package if `own`."""

    target: str
    line: int
    own: bool
    absolute: bool
    deferred: bool  # inside a function
    typing: bool  # under `if TYPE_CHECKING`


@dataclass
class Module:
    """A source file: `path` is relative to the root, `name` is dotted and relative to the package ("" is its face)."""

    path: str
    source: str

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.source, self.path)

    @property
    def name(self) -> str:
        return self.path.removesuffix(".py").replace("/", ".").removesuffix("__init__").removesuffix(".")

    @property
    def package(self) -> list[str]:
        """The dotted name that `.` stands for in this file."""
        return self.path.split("/")[:-1]


class House:
    """All source files of the package, by name."""

    def __init__(self, sources: Mapping[str, str]) -> None:
        modules = [Module(path, source) for path, source in sorted(sources.items())]
        self.modules = {module.name: module for module in modules}

    @classmethod
    def standing_at(cls, root: Path) -> "House":
        """Read the rooms and the files beside them; tests and whatever else lies in the checkout are no part of it."""
        paths = [*root.glob("*.py"), *(path for room in ROOMS for path in (root / room).rglob("*.py"))]
        return cls({path.relative_to(root).as_posix(): path.read_text(encoding="utf-8") for path in paths})

    @cached_property
    def imports(self) -> dict[str, list[Import]]:
        return {name: list(self._imports_of(module)) for name, module in self.modules.items()}

    def _imports_of(self, module: Module) -> Iterator[Import]:
        for node, deferred, typing in _import_nodes(module.tree, False, False):
            for target, own, absolute in self._targets(module, node):
                yield Import(target, node.lineno, own, absolute, deferred or _is_lazy_module(node), typing)

    def _targets(self, module: Module, node: ast.AST) -> Iterator[tuple[str, bool, bool]]:
        """The modules that one statement imports: dotted name, whether it is ours, whether it is named absolutely."""
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield _absolute(alias.name)
        elif isinstance(node, ast.Call):
            yield _absolute(ast.literal_eval(node.args[0]))
        elif isinstance(node, ast.ImportFrom) and not node.level:
            yield _absolute(node.module or "")
        elif isinstance(node, ast.ImportFrom):
            kept = len(module.package) - (node.level - 1)
            if kept < 0:
                yield "what lies outside the package", True, False
                return
            base = ".".join([*module.package[:kept], *([node.module] if node.module else [])])
            for alias in node.names:
                submodule = f"{base}.{alias.name}".lstrip(".")
                yield (submodule if submodule in self.modules else base), True, False


def _absolute(name: str) -> tuple[str, bool, bool]:
    first, _, rest = name.partition(".")
    if first == PACKAGE:
        return rest, True, True
    return name, first in ROOMS, True


def _is_for_type_checkers(test: ast.expr) -> bool:
    return "TYPE_CHECKING" in (getattr(test, "id", None), getattr(test, "attr", None))


def _import_nodes(node: ast.AST, deferred: bool, typing: bool) -> Iterator[tuple[ast.stmt | ast.expr, bool, bool]]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import | ast.ImportFrom) or _imports_by_name(child):
            yield child, deferred, typing
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            yield from _import_nodes(child, True, typing)
        elif isinstance(child, ast.If) and _is_for_type_checkers(child.test):
            yield from _import_nodes(ast.Module(child.body, []), deferred, True)
            yield from _import_nodes(ast.Module(child.orelse, []), deferred, typing)
        else:
            yield from _import_nodes(child, deferred, typing)


def _imports_by_name(node: ast.AST) -> bool:
    """Whether this is `import_module("a.b")` or the like, which imports as much as a statement does."""
    return (
        isinstance(node, ast.Call)
        and ast.unparse(node.func).split(".")[-1] in ("import_module", "__import__", "LazyModule")
        and bool(node.args)
        and isinstance(node.args[0], ast.Constant)
    )


def _is_lazy_module(node: ast.AST) -> bool:
    """Whether this is `LazyModule("a.b")`, which imports when it is first used."""
    return isinstance(node, ast.Call) and ast.unparse(node.func).split(".")[-1] == "LazyModule"


def layer_of(name: str) -> str | None:
    """The layer that a module belongs to; None for the face, which stands above all."""
    if name in FACE:
        return None
    prefixes = [prefix for prefix in LAYERS if name == prefix or name.startswith(f"{prefix}.")]
    return max(prefixes, key=len) if prefixes else name


def one_way_imports(house: House) -> list[str]:
    """A layer imports itself and the layers below it; imports for type checkers alone are no exception."""
    offences = []
    for name, found in house.imports.items():
        layer = layer_of(name)
        if layer is None:
            continue
        allowed = (layer, *LAYERS.get(layer, ()))
        for item in found:
            if item.own and layer_of(item.target) not in allowed:
                target = item.target or "the public face"
                offences.append(
                    f"{house.modules[name].path}:{item.line} ({layer}) imports {target}, allowed: {allowed}"
                )
    return offences


def no_cycles(house: House) -> list[str]:
    """No module needs itself while it is being imported."""
    needs = {
        name: sorted({item.target for item in found if item.own and not item.deferred and not item.typing})
        for name, found in house.imports.items()
    }
    offences, done = [], set()

    def visit(name: str, trail: list[str]) -> None:
        if name in trail:
            offences.append(
                "cycle: " + " -> ".join(part or "the public face" for part in [*trail[trail.index(name) :], name])
            )
        elif name not in done:
            for target in needs.get(name, ()):
                visit(target, [*trail, name])
            done.add(name)

    for name in needs:
        visit(name, [])
    return offences


def no_deferred_own_imports(house: House) -> list[str]:
    """Our own modules are imported at the top, where a cycle shows."""
    return [
        f"{house.modules[name].path}:{item.line} imports {item.target or 'the public face'} inside a function"
        for name, found in house.imports.items()
        for item in found
        if item.own and item.deferred and not item.typing
    ]


def relative_own_imports(house: House) -> list[str]:
    """Our own modules are imported relatively: `trainer` is no top-level name anywhere but in the checkout."""
    return [
        f"{house.modules[name].path}:{item.line} imports {item.target} absolutely; write it with dots"
        for name, found in house.imports.items()
        for item in found
        if item.own and item.absolute
    ]


def other_packages_in_their_place(house: House) -> list[str]:
    """NumPy everywhere, onnx and onnxruntime behind their doors, optional packages inside functions, others nowhere."""
    offences = []
    for name, found in house.imports.items():
        path = house.modules[name].path
        for item in found:
            package = item.target.partition(".")[0]
            if item.own and item.target == LAZY_MODULE and not path.startswith("exporters/"):
                offences.append(f"{path}:{item.line} imports {LAZY_MODULE}, which stands in exporters/ alone")
            if item.own or package in sys.stdlib_module_names or package in EAGER_PACKAGES:
                continue
            places = LAZY_PACKAGES.get(package)
            if places is None:
                offences.append(f"{path}:{item.line} imports {package}, which is no dependency of the package")
            elif not path.startswith(places):
                offences.append(f"{path}:{item.line} imports {package}, which stands in {', '.join(places)} alone")
            elif not item.deferred and not item.typing:
                offences.append(f"{path}:{item.line} imports {package} at the top; import it where it is used")
    return offences


def short_files(house: House) -> list[str]:
    """A file can be read in one sitting."""
    counts = {module.path: len(module.source.splitlines()) for module in house.modules.values()}
    return [
        f"{path}: {count} lines, at most {MAX_FILE_LINES}" for path, count in counts.items() if count > MAX_FILE_LINES
    ]


def short_functions(house: House) -> list[str]:
    """A function fits a screen, its docstring not counted."""
    offences = []
    for module in house.modules.values():
        for node in ast.walk(module.tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                lines = _span(node) - (_span(node.body[0]) if ast.get_docstring(node, clean=False) is not None else 0)
                if lines > MAX_FUNCTION_LINES:
                    offences.append(
                        f"{module.path}:{node.lineno} {node.name}: {lines} lines, at most {MAX_FUNCTION_LINES}"
                    )
    return offences


def _span(node: ast.stmt) -> int:
    return (node.end_lineno or node.lineno) - node.lineno + 1


def no_code_from_data(house: House) -> list[str]:
    """Nothing that is read from a file can run: no pickle, no eval, no exec."""
    offences = []
    for name, found in house.imports.items():
        path = house.modules[name].path
        for item in found:
            if item.target.partition(".")[0] in CODE_LOADERS:
                offences.append(f"{path}:{item.line} imports {item.target}")
        for node in ast.walk(house.modules[name].tree):
            if isinstance(node, ast.Name | ast.Attribute) and _runs_code(node):
                if ast.unparse(node) == CODE_MAKERS.get(path):
                    continue
                offences.append(f"{path}:{node.lineno} uses {ast.unparse(node)}")
            elif isinstance(node, ast.keyword) and node.arg == "allow_pickle" and ast.unparse(node.value) != "False":
                offences.append(f"{path}:{node.value.lineno} passes allow_pickle={ast.unparse(node.value)}")
    return offences


def _runs_code(node: ast.Name | ast.Attribute) -> bool:
    if isinstance(node, ast.Name):
        return node.id in CODE_RUNNERS
    return ast.unparse(node.value) in (builtins.__name__, "__builtins__") and node.attr in (*CODE_RUNNERS, "compile")


def rooms_are_packages(house: House) -> list[str]:
    """Every folder with Python files has an `__init__.py`, and nothing but the face lies beside the rooms."""
    folders = {module.path.rpartition("/")[0] for module in house.modules.values()} - {""}
    homeless = [folder for folder in sorted(folders) if folder.replace("/", ".") not in house.modules]
    beside = [m.path for m in house.modules.values() if "/" not in m.path and m.path not in ROOT_FILES]
    return [f"{folder}/ has no __init__.py" for folder in homeless] + [
        f"{path} lies outside the rooms" for path in beside
    ]


RULES: tuple[Callable[[House], list[str]], ...] = (
    one_way_imports,
    no_cycles,
    no_deferred_own_imports,
    relative_own_imports,
    other_packages_in_their_place,
    short_files,
    short_functions,
    no_code_from_data,
    rooms_are_packages,
)
