"""What is written knows its version: pickles and files."""

import warnings
from importlib.metadata import version

from sklearn.exceptions import InconsistentVersionWarning
from sklearn.utils.validation import check_is_fitted

from sktsrep._doc_link import DocLinkMixin
from sktsrep._files import read, write

__all__ = ["VERSION", "VersionedMixin", "load"]

VERSION = version("sktsrep")
_WRITTEN_WITH = ("numpy", "scikit-learn", "skorch", "torch")


class VersionedMixin(DocLinkMixin):
    """Save to a file; warn when what another version has written is opened."""

    def __getstate__(self):
        return {**super().__getstate__(), "_sktsrep_version": VERSION}

    def __setstate__(self, state):
        _check_version(type(self).__name__, state.pop("_sktsrep_version", None))
        super().__setstate__(state)

    def save(self, path):
        """Save to a file that :func:`sktsrep.load` opens.

        Parameters
        ----------
        path : str or path-like
            Where to. A file that is there is replaced, once the new one is complete.

        Raises
        ------
        NotFittedError
            Before ``fit``.
        TypeError
            When a parameter is no plain value and no object of this package, such as a
            function or a foreign estimator; the error names it.

        Notes
        -----
        The file is a safetensors file: arrays, and text that names classes of this
        package. It can run no code. Pickles can, but keep functions and foreign
        objects, too.
        """
        check_is_fitted(self)
        versions = {name: version(name) for name in _WRITTEN_WITH}
        write(self, path, {"sktsrep": VERSION, **versions})


def load(path):
    """Open an estimator that ``save`` has written.

    Nothing in the file can run code, so it may come from anywhere.

    Parameters
    ----------
    path : str or path-like
        The file.

    Returns
    -------
    estimator
        Fitted, on the device that it was fitted on or, with a warning, on the CPU where
        that is missing.

    Raises
    ------
    ValueError
        When the file is something else, is damaged, or needs a newer version.

    Warns
    -----
    InconsistentVersionWarning
        When another version has written it.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> import numpy as np
    >>> import sktsrep
    >>> X = np.sin(np.linspace(0, 9, 48) + np.arange(20)[:, None])
    >>> transformer = sktsrep.STFTTransformer(device="cpu").fit(X)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     transformer.save(Path(folder, "transformer.safetensors"))
    ...     opened = sktsrep.load(Path(folder, "transformer.safetensors"))
    >>> bool((opened.transform(X) == transformer.transform(X)).all())
    True
    """
    estimator, metadata = read(path)
    _check_version(type(estimator).__name__, metadata.get("sktsrep"))
    return estimator


def _check_version(name, written):
    written = written or "an unknown version"
    if written != VERSION:
        warnings.warn(
            InconsistentVersionWarning(
                estimator_name=name,
                current_sklearn_version=f"of sktsrep {VERSION}",
                original_sklearn_version=f"of sktsrep {written}",
            ),
            stacklevel=3,
        )
