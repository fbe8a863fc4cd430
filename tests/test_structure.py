"""The layers of the package look only downwards."""

import ast
from pathlib import Path

import pytest

import sktsrep

ROOT = Path(sktsrep.__file__).parent
FILES = sorted(ROOT.rglob("*.py"))


def layer_of(path):
    """Module or package of the first level that a file belongs to."""
    return path.relative_to(ROOT).with_suffix("").parts[0]


LAYERS = {"functional", "augmentations", "nn", "objectives", "_net"}
NETWORKS = {"_ncvqvae"}
BASE = {"base", "_validation"}
ESTIMATORS = {"preprocessing", "encoders", "tokenizers", "autoencoders"}
TOP = {"samplers", "classifiers", "fcn"}
MAY_IMPORT = {
    "functional": set(),
    "augmentations": {"functional"},
    "nn": {"functional"},
    "objectives": {"functional", "nn"},
    "_ncvqvae": {"functional", "augmentations", "nn", "objectives"},
    "_net": LAYERS,
    "_validation": set(),
    "base": {"_net", "nn", "_validation"},
    **dict.fromkeys(ESTIMATORS, LAYERS | NETWORKS | ESTIMATORS | BASE),
    "_gaps": set(),
    **{name: LAYERS | NETWORKS | {"_gaps"} | ESTIMATORS | BASE | TOP for name in TOP},
    "metrics": LAYERS,
    "plotting": LAYERS | {"metrics"},
    "__init__": {layer_of(path) for path in FILES},
}
every_file = pytest.mark.parametrize(
    "path", FILES, ids=lambda path: path.relative_to(ROOT).as_posix()
)


def imports(nodes):
    """Full names of what import statements among the nodes name."""
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            source = "." * node.level + (node.module or "")
            yield from (f"{source}.{alias.name}" for alias in node.names)


def parse(path):
    return ast.parse(path.read_text(encoding="utf-8"))


def imported_modules(path):
    """Dotted names inside the package that a file imports, also inside of functions."""
    full_names = (full.split(".") for full in imports(ast.walk(parse(path))))
    return {".".join(parts[1:]) for parts in full_names if parts[0] in {"sktsrep", ""}}


def module_name(path):
    """``nn.quantizer``; a package's ``__init__`` goes by the package's name."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if len(parts) > 1 and parts[-1] == "__init__" else parts)


@every_file
def test_every_module_has_its_layer(path):
    assert layer_of(path) in MAY_IMPORT


@every_file
def test_imports_look_downwards(path):
    layers = {name.split(".")[0] for name in imported_modules(path)}
    assert layers - {layer_of(path)} <= MAY_IMPORT.get(layer_of(path), set())


def modules_needed(path, names):
    """Which of the modules a file imports from, its own excepted."""
    needed = set()
    for imported in imported_modules(path):
        # ``nn.quantizer.VectorQuantizer`` means ``nn.quantizer``, not ``nn``.
        prefixes = [name for name in names if f"{imported}.".startswith(f"{name}.")]
        needed.add(max(prefixes, key=len, default=None))
    return needed - {module_name(path), None}


def test_imports_have_no_cycle():
    names = {module_name(path) for path in FILES}
    left = {module_name(path): modules_needed(path, names) for path in FILES}
    while left:
        free = {name for name, needs in left.items() if not needs & left.keys()}
        assert free, f"cycle among {sorted(left)}"
        left = {name: needs for name, needs in left.items() if name not in free}


@every_file
def test_only_the_net_knows_skorch(path):
    packages = {full.split(".")[0] for full in imports(ast.walk(parse(path)))}
    assert "skorch" not in packages or layer_of(path) == "_net"


@every_file
def test_optional_packages_are_imported_where_they_are_used(path):
    packages = {full.split(".")[0] for full in imports(parse(path).body)}
    assert packages.isdisjoint({"aeon", "matplotlib", "umap"})
