"""How Sphinx builds this site; ``contributing.md`` has the command."""

import inspect
import os
import re
from importlib import import_module
from importlib.metadata import version as installed_version

from numpydoc.xref import DEFAULT_LINKS

project = "sktsrep"
author = "The sktsrep developers"
copyright = author
release = version = installed_version("sktsrep")

extensions = [
    "myst_parser",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.mathjax",
    "sphinx_copybutton",
    "sphinx_design",
    "sphinx_gallery.gen_gallery",
]
templates_path = ["_templates"]
exclude_patterns = ["_build", "auto_examples/**/*.ipynb"]
language = "en"

# Links into this package must lead somewhere; those to others depend on intersphinx.
nitpicky = True
nitpick_ignore_regex = [(r"py:.*", r"(?!sktsrep\.).*")]

# ------------------------------------------------------------------- API reference

autosummary_generate = True
autodoc_typehints = "none"  # docstrings tell the types
toc_object_entries_show_parents = "hide"
autodoc_member_order = "bysource"
numpydoc_show_class_members = False

# Types of parameters that are classes of this package lead to them.
numpydoc_xref_param_type = True
numpydoc_xref_ignore = "all"
numpydoc_xref_aliases = {
    name: f"{module}.{name}"
    for module in ("sktsrep", "sktsrep.objectives", "sktsrep.quantizers", "sktsrep.nn")
    for name in import_module(module).__all__
    if inspect.isclass(getattr(import_module(module), name))
}
DEFAULT_LINKS.clear()  # they lead out of the package

# Links to other projects need the network, so they are asked for:
# SKTSREP_INTERSPHINX=1 sphinx-build ...
if os.environ.get("SKTSREP_INTERSPHINX"):
    extensions.append("sphinx.ext.intersphinx")
    intersphinx_mapping = {
        "matplotlib": ("https://matplotlib.org/stable", None),
        "numpy": ("https://numpy.org/doc/stable", None),
        "pandas": ("https://pandas.pydata.org/docs", None),
        "python": ("https://docs.python.org/3", None),
        "scipy": ("https://docs.scipy.org/doc/scipy", None),
        "sklearn": ("https://scikit-learn.org/stable", None),
        "skorch": ("https://skorch.readthedocs.io/en/stable", None),
        "torch": ("https://docs.pytorch.org/docs/stable", None),
    }

# ------------------------------------------------------------------------- Markdown

myst_enable_extensions = ["colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 4

# ------------------------------------------------------------------------- gallery

sphinx_gallery_conf = {
    "examples_dirs": "../examples",
    "gallery_dirs": "auto_examples",
    "filename_pattern": r"/plot_",
    "ignore_pattern": r"/(?!plot_)[^/]*\.py$",
    "backreferences_dir": "api/backreferences",
    "doc_module": ("sktsrep",),
    "reference_url": {"sktsrep": None},
    "download_all_examples": False,
    "remove_config_comments": True,
    "show_memory": False,
    "write_computation_times": False,
}

# ---------------------------------------------------------------------------- HTML

# Pages without others beside them in the navigation.
_ALONE = ("index", "get_started", "benchmarks", "changelog", "contributing")
html_theme = "pydata_sphinx_theme"
html_title = "sktsrep"
html_context = {"default_mode": "auto"}
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_theme_options = {
    "header_links_before_dropdown": 6,
    "navbar_align": "left",
    "navigation_with_keys": False,
    "show_toc_level": 2,
    "footer_start": ["copyright"],
    "footer_end": [],
}
html_sidebars = {name: [] for name in _ALONE}
html_copy_source = False
html_show_sourcelink = False

# The last line of a doctest is empty.
highlight_options = {"python": {"stripnl": True}}

# Prompts and results stay on the page.
copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True
copybutton_only_copy_prompt_lines = True


# Roles of scikit-learn's own site, in docstrings that estimators inherit.
_FOREIGN_ROLE = re.compile(r":(?:ref|term|doc):`([^`<]*?)\s*(?:<[^`>]*>)?`")


def _plain_foreign_roles(app, what, name, obj, options, lines):
    """Keep the words of links that only scikit-learn's site can follow."""
    module = getattr(inspect.unwrap(obj), "__module__", None) if callable(obj) else None
    if module is None or not module.startswith("sktsrep"):
        lines[:] = [_FOREIGN_ROLE.sub(r"\1", line) for line in lines]


def _join_lines(app, what, name, obj, options, lines):
    r"""Join lines that end with a backslash, which raw docstrings keep."""
    lines[:] = re.sub(r"\\\n\s*", "", "\n".join(lines)).split("\n")


def _skip_foreign(app, what, name, obj, skip, options):
    """Leave out what classes inherit from torch, and metadata routing."""
    if name == "get_metadata_routing":
        return True
    module = getattr(obj, "__module__", None) or ""
    return True if module.startswith("torch.") else None


def setup(app):
    app.connect("autodoc-process-docstring", _plain_foreign_roles, priority=0)
    app.connect("autodoc-process-docstring", _join_lines, priority=0)
    app.connect("autodoc-skip-member", _skip_foreign)
