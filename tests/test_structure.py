"""The layers of the package look only downwards."""

import ast
import graphlib
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

import sktsrep

ROOT = Path(sktsrep.__file__).parent
FILES = sorted(ROOT.rglob("*.py"))


def layer_of(path):
    """Module or package of the first level that a file belongs to."""
    return path.relative_to(ROOT).with_suffix("").parts[0]


TENSORS = {"functional", "augmentations", "nn", "objectives", "quantizers"}
ENGINE = {"_device", "_validation"}
ESTIMATOR = {"_fit", "_validation", "networks"}
MAY_IMPORT = {
    "_ranks": set(),
    "_doc_link": set(),
    "functional": set(),
    "augmentations": {"functional"},
    "nn": {"_ranks", "functional"},
    "objectives": {"_doc_link", "functional", "nn"},
    "quantizers": {"_doc_link", "nn"},
    "networks": TENSORS | {"_ranks"},
    "_callbacks": set(),
    "_config": set(),
    "_plain": set(),
    "_files": {"_plain"},
    "_versions": {"_doc_link", "_files"},
    "_blocks": {"_versions"},
    "_warnings": set(),
    "_inputs": set(),
    "_axes": {"_warnings"},
    "_validation": {"_axes", "_gaps", "_inputs"},
    "_device": {"_config", "_warnings"},
    "_storage": set(),
    "_gaps": {"_device", "_storage", "functional"},
    "_texture": {"_gaps"},
    "_limits": {"_storage"},
    "_holdout": set(),
    "_checkpoint": {"_files", "_ranks"},
    "_training": {"_device", "_gaps", "_plain", "_ranks", "_warnings", "nn"},
    "_fit": {"_callbacks", "_device", "_warnings"},
    "_base": ENGINE
    | {
        "_callbacks",
        "_checkpoint",
        "_files",
        "_fit",
        "_gaps",
        "_holdout",
        "_inputs",
        "_ranks",
        "_storage",
        "_training",
        "_versions",
        "_warnings",
        "functional",
    },
    "_spectral": {
        "_base",
        "_device",
        "_fit",
        "_gaps",
        "_storage",
        "_validation",
        "_warnings",
        "functional",
        "nn",
    },
    "preprocessing": ENGINE | {"_fit", "_gaps", "_versions", "functional", "nn"},
    "_weights": {"_device", "_files"},
    "pretrained": {"_fit", "_gaps", "_validation", "_versions", "_weights"},
    "encoders": {
        "_fit",
        "_spectral",
        "_weights",
        "augmentations",
        "networks",
        "objectives",
    },
    "tokenizers": ESTIMATOR
    | {
        "_base",
        "_device",
        "_gaps",
        "_spectral",
        "_storage",
        "_training",
        "_warnings",
        "_weights",
        "augmentations",
        "nn",
        "objectives",
        "quantizers",
    },
    "autoencoders": ESTIMATOR | {"_base", "_device", "_gaps", "_spectral", "_storage"},
    "classifiers": ESTIMATOR
    | {"_base", "_device", "_spectral", "_storage", "_training", "encoders"},
    "fcn": ESTIMATOR | {"_base", "_device", "_gaps", "_storage"},
    "samplers": ESTIMATOR
    | {
        "_base",
        "_device",
        "_gaps",
        "_inputs",
        "_limits",
        "_texture",
        "functional",
        "imputation",
    },
    "_neighbors": {"_gaps", "_holdout"},
    "_calibration": set(),
    "anomaly": {
        "_calibration",
        "_callbacks",
        "_device",
        "_fit",
        "_gaps",
        "_holdout",
        "_neighbors",
        "_validation",
        "_versions",
        "pretrained",
    },
    "imputation": {"_fit", "_gaps", "_validation", "_versions"},
    "_sliding": set(),
    "recordings": {"_fit", "_inputs", "_sliding", "_validation", "_versions"},
    "model_selection": set(),
    "datasets": {"_inputs"},
    "metrics": ENGINE | {"_doc_link", "_gaps", "_inputs", "_warnings", "functional"},
    "plotting": ENGINE | {"_gaps", "augmentations", "functional", "metrics"},
    "__init__": {
        "_blocks",
        "_config",
        "_versions",
        "anomaly",
        "autoencoders",
        "classifiers",
        "encoders",
        "fcn",
        "imputation",
        "model_selection",
        "preprocessing",
        "pretrained",
        "recordings",
        "samplers",
        "tokenizers",
    },
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
    """``nn.quantizers``; a package's ``__init__`` goes by the package's name."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if len(parts) > 1 and parts[-1] == "__init__" else parts)


def imported_layers(layer):
    """Other layers that the files of a layer import."""
    files = [path for path in FILES if layer_of(path) == layer]
    names = [name for path in files for name in imported_modules(path)]
    return {name.split(".")[0] for name in names} - {layer}


def test_every_module_has_its_layer():
    assert {layer_of(path) for path in FILES} == set(MAY_IMPORT)


@pytest.mark.parametrize("layer", MAY_IMPORT)
def test_imports_look_downwards(layer):
    # Equal, not less: an arrow that no file uses must go from the table.
    assert imported_layers(layer) == MAY_IMPORT[layer]


def test_layers_have_no_cycle():
    assert list(graphlib.TopologicalSorter(MAY_IMPORT).static_order())


def modules_needed(path, names):
    """Which of the modules a file imports from, its own excepted."""
    needed = set()
    for imported in imported_modules(path):
        # ``nn.quantizers.VectorQuantizer`` means ``nn.quantizers``, not ``nn``.
        prefixes = [name for name in names if f"{imported}.".startswith(f"{name}.")]
        needed.add(max(prefixes, key=len, default=None))
    return needed - {module_name(path), None}


def test_imports_have_no_cycle():
    names = {module_name(path) for path in FILES}
    needs = {module_name(path): modules_needed(path, names) for path in FILES}
    assert list(graphlib.TopologicalSorter(needs).static_order())


@every_file
def test_only_the_training_engine_knows_skorch(path):
    packages = {full.split(".")[0] for full in imports(ast.walk(parse(path)))}
    assert "skorch" not in packages or layer_of(path) == "_training"


@every_file
def test_optional_packages_are_imported_where_they_are_used(path):
    packages = {full.split(".")[0] for full in imports(parse(path).body)}
    assert packages.isdisjoint({"aeon", "matplotlib", "umap"})


def test_import_leaves_for_later_what_only_some_need():
    code = "import sys, sktsrep; print(*sys.modules)"
    command = [sys.executable, "-W", "ignore", "-c", code]
    loaded = subprocess.run(command, capture_output=True, check=True, text=True).stdout
    late = {"scipy.signal", "sklearn.cluster", "sklearn.neighbors", "sktsrep.metrics"}
    assert late.isdisjoint(loaded.split())


SHELVES = sorted(
    f"sktsrep.{path.parent.name}" for path in ROOT.glob("[!_]*/__init__.py")
) + ["sktsrep.objectives", "sktsrep.quantizers"]


def test_tab_completion_shows_estimators_and_shelves():
    shown = dir(sktsrep)
    assert {*sktsrep.__all__, "metrics", "plotting", "__version__"} <= {*shown}
    assert not [n for n in shown if n.startswith("_") and n != "__version__"]
    assert all(hasattr(sktsrep, name) for name in shown)


@pytest.mark.parametrize("name", SHELVES)
def test_tab_completion_shows_public_names_only(name):
    module = import_module(name)
    assert dir(module) == sorted(module.__all__)
    assert all(hasattr(module, name) for name in module.__all__)
