"""What is built holds the whole package and nothing else, and it runs where no checkout is near."""

import importlib.metadata
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest
from house_rules import PACKAGE, ROOMS, ROOT_FILES, House

ROOT = Path(__file__).resolve().parent.parent
SETTINGS = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
LISTED = SETTINGS["tool"]["setuptools"]["packages"]
DATA = SETTINGS["tool"]["setuptools"]["package-data"]

BUILD = "import sys; from setuptools import build_meta; getattr(build_meta, sys.argv[1])(sys.argv[2])"
# Runs outside the checkout, with the unpacked wheel as its argument.
USE = """
import importlib, importlib.util, pathlib, sys
folder = pathlib.Path(sys.argv.pop()).resolve()
sys.path.insert(0, str(folder))
import sardonyx
assert pathlib.Path(sardonyx.__file__).resolve().is_relative_to(folder), sardonyx.__file__
for name in {packages!r}:
    importlib.import_module(name)
heavy = {{"onnx", "onnxruntime", "PIL", "torch", "keras", "jax", "sklearn"}} & set(sys.modules)
assert not heavy, f"importing the package imported {{heavy}}"
leaked = [name for name in {rooms!r} if importlib.util.find_spec(name)]
assert not leaked, f"top-level packages {{leaked}}"
from sardonyx.trainer.data.datasets import digits
(x_train, _), (x_test, _) = digits.load_data()
print(sardonyx.__version__, len(x_train) + len(x_test))
"""


def run(*arguments: str, cwd: Path) -> str:
    command = [sys.executable, *arguments]
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def build(kind: str, source: Path, target: Path) -> Path:
    """Build "wheel" or "sdist" without network or isolation."""
    target.mkdir()
    run("-c", BUILD, f"build_{kind}", str(target), cwd=source)
    return next(target.iterdir())


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the checkout to build in: building leaves folders behind, and takes in what an earlier build left."""
    copy = tmp_path_factory.mktemp("build") / "checkout"
    copy.mkdir()
    for path in ROOT.iterdir():
        if path.is_file():
            shutil.copy(path, copy)
        elif path.name in (*ROOMS, "tests"):
            shutil.copytree(path, copy / path.name, ignore=shutil.ignore_patterns("__pycache__", ".*"))
    return copy


@pytest.fixture(scope="module")
def wheel(checkout: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build("wheel", checkout, tmp_path_factory.mktemp("wheel") / "out")


def test_packages_listed_are_the_folders():
    house = House.standing_at(ROOT)
    folders = {f"{PACKAGE}.{'.'.join(module.package)}".rstrip(".") for module in house.modules.values()}
    assert sorted(LISTED) == sorted(folders), "pyproject.toml, [tool.setuptools] packages: list each folder once"


@pytest.mark.parametrize("package", DATA)
def test_data_files_exist(package: str):
    folder = ROOT.joinpath(*package.split(".")[1:])
    assert package in LISTED
    assert [name for name in DATA[package] if not list(folder.glob(name))] == []


def test_version_is_stated_once():
    import sardonyx

    assert sardonyx.__version__ == importlib.metadata.version(PACKAGE)
    assert "version" in SETTINGS["project"]["dynamic"]


@pytest.mark.packaging
def test_wheel_holds_the_package_and_nothing_else(wheel: Path, checkout: Path):
    house = House.standing_at(checkout)
    sources = {f"{PACKAGE}/{module.path}" for module in house.modules.values()}
    files = [path for room in ROOMS for path in (checkout / room).rglob("*") if path.is_file()]
    others = [path.relative_to(checkout) for path in files if path.suffix not in (".py", ".pyc")]
    data = {f"{PACKAGE}/{path.as_posix()}" for path in others}
    names = set(zipfile.ZipFile(wheel).namelist())
    information = {name for name in names if name.split("/")[0].endswith(".dist-info")}
    assert names - information == sources | data | {f"{PACKAGE}/py.typed"}
    licences = {name.split("/licenses/")[1] for name in information if "/licenses/" in name}
    assert licences == set(SETTINGS["project"]["license-files"])


@pytest.mark.packaging
def test_wheel_runs_far_from_the_checkout(wheel: Path, tmp_path: Path):
    installed, elsewhere = tmp_path / "installed", tmp_path / "elsewhere"
    elsewhere.mkdir()
    zipfile.ZipFile(wheel).extractall(installed)
    code = USE.format(packages=LISTED, rooms=[*ROOMS, "tests", "version"])
    printed = run("-c", code, str(installed), cwd=elsewhere)
    assert printed.split() == [importlib.metadata.version(PACKAGE), "1797"]


@pytest.mark.packaging
def test_source_archive_builds_the_same_wheel(checkout: Path, wheel: Path, tmp_path: Path):
    archive = build("sdist", checkout, tmp_path / "sdist")
    with tarfile.open(archive) as file:
        file.extractall(tmp_path / "source", filter="data")
    again = build("wheel", next((tmp_path / "source").iterdir()), tmp_path / "again")
    assert sorted(zipfile.ZipFile(again).namelist()) == sorted(zipfile.ZipFile(wheel).namelist())


def test_root_files_exist():
    assert [name for name in ROOT_FILES if not (ROOT / name).is_file()] == []
