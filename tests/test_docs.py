"""The documentation names everything that is public, and links lead to its pages."""

import re
from importlib import import_module
from pathlib import Path

import pytest
from sklearn.base import BaseEstimator

import sktsrep

ROOT = Path(sktsrep.__file__).parent
DOCS = Path(__file__).parents[1] / "docs"
API = DOCS / "api" / "index.rst"
SHELVES = sorted(
    path.stem if path.is_file() else path.name
    for path in ROOT.iterdir()
    if not path.name.startswith(("_", ".")) and (path.suffix == ".py" or path.is_dir())
)
# Pages of names, and names that need no page of their own.
PAGES = re.findall(r"^   ~(sktsrep\.\S+)$", API.read_text("utf-8"), re.MULTILINE)
OTHERS = re.findall(r"^\.\. py:data:: (\S+)$", API.read_text("utf-8"), re.MULTILINE)


def page_of(module, name):
    """Name under which something public is listed: from the package, if it is there."""
    return f"sktsrep.{name}" if name in sktsrep.__all__ else f"{module}.{name}"


PUBLIC = {f"sktsrep.{name}" for name in sktsrep.__all__} | {
    page_of(f"sktsrep.{shelf}", name)
    for shelf in SHELVES
    for name in import_module(f"sktsrep.{shelf}").__all__
}


def test_every_public_name_is_listed_once_and_nothing_else():
    assert sorted(PAGES + OTHERS) == sorted(PUBLIC)


def listed(name):
    module, _, name = name.rpartition(".")
    return getattr(import_module(module), name)


ESTIMATORS = [
    name
    for name in PAGES
    if isinstance(listed(name), type) and issubclass(listed(name), BaseEstimator)
]


@pytest.mark.parametrize("name", ESTIMATORS)
def test_html_representation_links_to_the_page(name):
    estimator = listed(name)(length=8) if name.endswith("Windows") else listed(name)()
    page = f"https://sktsrep.readthedocs.io/en/stable/api/generated/{name}.html"
    assert estimator._get_doc_link() == page
    assert page in estimator._repr_html_()


def test_contributing_has_the_command_of_the_readme():
    lines = (DOCS.parent / "README.md").read_text("utf-8").splitlines()
    command = next(line for line in lines if "python -m pytest" in line)
    assert command in (DOCS / "contributing.md").read_text("utf-8")


def test_estimators_of_other_packages_have_no_link():
    class Mine(sktsrep.SSLEncoder):
        pass

    assert Mine()._get_doc_link() == ""
