# SPDX-License-Identifier: Apache-2.0
"""The package's layers: imports point down or sideways and never in a circle; big packages stay where they belong."""

from __future__ import annotations

import ast
import fnmatch
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[1] / "src" / "fewbins"

# From the bottom up. A module may import its own layer and those before it.
LAYERS = [
    ["errors", "checks", "_engine", "limits"],
    ["levels", "scheme_hints"],
    ["scheme", "numerics"],
    ["graph", "rounding"],
    ["ops", "passes", "model_file", "export"],
    ["session", "oracle", "importers", "model", "data", "onnxruntime_api"],
    ["calibrate", "verify"],
    ["network", "quantize", "build"],
    ["analyze", "bench", "evaluate", "scores", "train", "zoo"],
    ["search", "report"],
    ["cli", "_run", "__main__"],
]
LEVEL = {name: level for level, names in enumerate(LAYERS) for name in names}

# Where a package that is large or optional may be imported, as patterns of paths inside the package.
ALLOWED = {
    "torch": ["train/*", "zoo/*", "importers/torch_export.py", "bench/rivals.py"],
    "onnx": ["importers/*", "export/*", "bench/*"],
    "onnxruntime": ["bench/*"],
    "typer": ["cli/*"],
    "click": ["cli/*"],
    "rich": ["cli/*", "report/*"],
    "PIL": ["data/*"],
    "scipy": ["search/*", "analyze/*"],
    "joblib": ["search/*"],
    "jinja2": ["report/*"],
    "matplotlib": ["report/*"],
    "sklearn": [],
}


def module_name(path: Path) -> str:
    parts = ["fewbins", *path.relative_to(PACKAGE).with_suffix("").parts]
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@cache
def modules() -> dict[str, Path]:
    return {module_name(path): path for path in sorted(PACKAGE.rglob("*.py"))}


def is_type_checking(node: ast.stmt) -> bool:
    return isinstance(node, ast.If) and ast.unparse(node.test) in ("TYPE_CHECKING", "typing.TYPE_CHECKING")


def imports(path: Path) -> set[str]:
    """Return the full names of what a file imports, anywhere but under TYPE_CHECKING."""
    name = module_name(path)
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    found: set[str] = set()
    waiting: list[ast.AST] = [ast.parse(path.read_text())]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                above = package.split(".")[: len(package.split(".")) - node.level + 1]
                base = ".".join([*above, *([node.module] if node.module else [])])
            for alias in node.names:
                inner = f"{base}.{alias.name}"
                found.add(inner if inner in modules() or base == "fewbins" else base)
        elif isinstance(node, ast.stmt) and is_type_checking(node):
            waiting.extend(node.orelse)  # type: ignore[attr-defined]
            continue
        waiting.extend(ast.iter_child_nodes(node))
    return found


def layer_of(name: str) -> str:
    """Return the part of the package that a module belongs to: `fewbins.ops.conv` is in `ops`."""
    return name.split(".")[1]


def is_public_api(name: str) -> bool:
    return name == "fewbins"


INNER = [name for name in modules() if not is_public_api(name)]


def test_every_part_of_the_package_has_a_layer() -> None:
    unknown = sorted({layer_of(name) for name in INNER} - set(LEVEL))
    assert not unknown, f"add {unknown} to LAYERS in {Path(__file__).name}"


@pytest.mark.parametrize("name", INNER)
def test_imports_point_down_or_sideways(name: str) -> None:
    own = LEVEL[layer_of(name)]
    wrong = []
    for target in sorted(imports(modules()[name])):
        top, _, rest = target.partition(".")
        part = rest.partition(".")[0]
        # A name of the public API itself is for the command line; __version__ brings nothing with it.
        below = LEVEL[part] <= own if part in LEVEL else name.startswith("fewbins.cli") or part == "__version__"
        if top == "fewbins" and not below:
            wrong.append(target)
    assert not wrong, f"{name} (layer {own}) imports {wrong} from above it"


def test_no_circle_of_imports() -> None:
    graph = {name: {t for t in imports(path) if t in modules()} - {name} for name, path in modules().items()}
    graph.pop("fewbins")
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(f"circle of imports: {' -> '.join(error.args[1])}")


@pytest.mark.parametrize("package", ALLOWED)
def test_big_packages_are_imported_only_where_they_belong(package: str) -> None:
    users = []
    for path in modules().values():
        inside = path.relative_to(PACKAGE).as_posix()
        allowed = any(fnmatch.fnmatch(inside, pattern) for pattern in ALLOWED[package])
        if not allowed and any(target.split(".")[0] == package for target in imports(path)):
            users.append(inside)
    assert not users, f"{package} may be imported in {ALLOWED[package]} only, not in {users}"
