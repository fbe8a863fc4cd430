"""Where an estimator's page is; notebooks link to it from the HTML representation."""

from importlib import import_module

__all__ = ["DocLinkMixin"]

_PAGES = "https://sktsrep.readthedocs.io/en/stable/api/generated/"


class DocLinkMixin:
    """Link to this package's documentation in place of scikit-learn's."""

    _doc_link_module = "sktsrep"
    _doc_link_template = _PAGES + "{module}.{name}.html"

    def _doc_link_url_param_generator(self):
        name = type(self).__name__
        package, shelf, *_ = type(self).__module__.split(".")
        is_on_top = name in import_module(package).__all__
        return {"module": package if is_on_top else f"{package}.{shelf}", "name": name}
