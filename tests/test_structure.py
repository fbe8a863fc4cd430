"""The layers of the package look only downwards."""

import ast
from pathlib import Path

import pytest

import sktsrep

MODULES = {path.stem: path for path in Path(sktsrep.__file__).parent.glob("*.py")}

LAYERS = {"functional", "augmentations", "nn", "objectives", "_net"}
ESTIMATORS = {"preprocessing", "encoders", "tokenizers", "autoencoders"}
SAMPLES = {"sample_features", "sample_distances", "sample_scores"}
TOP = {"samplers", "classifiers", "fcn"}
MAY_IMPORT = {
    "functional": set(),
    "augmentations": {"functional"},
    "nn": {"functional", "augmentations"},
    "objectives": {"functional", "nn"},
    "_net": LAYERS,
    "base": {"_net", "nn"},
    **{name: LAYERS | ESTIMATORS | {"base"} for name in ESTIMATORS},
    **{name: LAYERS | ESTIMATORS | {"base"} | TOP for name in TOP},
    "sample_features": set(),
    "sample_distances": {"sample_features"},
    "sample_scores": {"sample_features"},
    "evaluation": LAYERS | SAMPLES,
    "metrics": LAYERS | SAMPLES | {"evaluation"},
    "_plot_utils": set(),
    "series_plots": LAYERS | {"_plot_utils"},
    "training_plots": LAYERS | {"_plot_utils", "metrics"},
    "plotting": {"_plot_utils", "metrics", "series_plots", "training_plots"},
    "datasets": LAYERS,
    "__init__": set(MODULES),
}
every_module = pytest.mark.parametrize("name", sorted(MODULES))


def imports(nodes):
    """Full names of what import statements among the nodes name."""
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            source = "." * node.level + (node.module or "")
            yield from (f"{source}.{alias.name}" for alias in node.names)


def parse(name):
    return ast.parse(MODULES[name].read_text(encoding="utf-8"))


def imported_modules(name):
    """Modules of the package that a module imports, also inside of functions."""
    full_names = (full.split(".") for full in imports(ast.walk(parse(name))))
    return {parts[1] for parts in full_names if parts[0] in {"sktsrep", ""}}


@every_module
def test_every_module_has_its_layer(name):
    assert name in MAY_IMPORT


@every_module
def test_imports_look_downwards(name):
    assert imported_modules(name) - {name} <= MAY_IMPORT.get(name, set())


def test_imports_have_no_cycle():
    left = {name: imported_modules(name) for name in MODULES}
    while left:
        free = {name for name, needs in left.items() if not needs & left.keys()}
        assert free, f"cycle among {sorted(left)}"
        left = {name: needs for name, needs in left.items() if name not in free}


@every_module
def test_only_the_net_knows_skorch(name):
    packages = {full.split(".")[0] for full in imports(ast.walk(parse(name)))}
    assert "skorch" not in packages or name == "_net"


@every_module
def test_optional_packages_are_imported_where_they_are_used(name):
    packages = {full.split(".")[0] for full in imports(parse(name).body)}
    assert packages.isdisjoint({"aeon", "matplotlib", "umap"})
