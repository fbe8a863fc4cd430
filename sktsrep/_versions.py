"""Pickles know the version of the package that wrote them."""

import warnings
from importlib.metadata import version

from sklearn.exceptions import InconsistentVersionWarning

__all__ = ["VERSION", "VersionedMixin"]

VERSION = version("sktsrep")


class VersionedMixin:
    """Warn when a pickle of another version is opened, as scikit-learn does."""

    def __getstate__(self):
        return {**super().__getstate__(), "_sktsrep_version": VERSION}

    def __setstate__(self, state):
        written = state.pop("_sktsrep_version", "an unknown version")
        if written != VERSION:
            warnings.warn(
                InconsistentVersionWarning(
                    estimator_name=type(self).__name__,
                    current_sklearn_version=f"of sktsrep {VERSION}",
                    original_sklearn_version=f"of sktsrep {written}",
                ),
                stacklevel=2,
            )
        super().__setstate__(state)
