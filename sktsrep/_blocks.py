"""Methods of saved estimators, for blocks of data in many processes."""

import os
import socket
import threading
from functools import lru_cache

import numpy as np
import pandas as pd
from sklearn.utils.validation import _num_samples

from sktsrep._versions import load

__all__ = ["block_function"]

# Methods that give every series a result that depends on no other series.
_METHODS = {
    "decision_function",
    "encode",
    "predict",
    "predict_proba",
    "reconstruct",
    "score_samples",
    "score_timepoints",
    "transform",
}


# In lower case, because it is used as a function, as functools.partial is.
class block_function:
    """Make a function of blocks of series from a saved estimator.

    It holds a path and the name of a method, so it is sent to other processes in some
    hundred bytes. Each process opens the file once, when its first block arrives.

    Parameters
    ----------
    path : str or path-like
        File that ``save`` of an estimator has written. All processes must see it under
        this path.
    method : str, default="transform"
        ``"transform"``, ``"encode"``, ``"reconstruct"``, ``"predict"``,
        ``"predict_proba"``, ``"decision_function"``, ``"score_samples"`` or
        ``"score_timepoints"``.

    Notes
    -----
    Called with an array of series ``(n_samples, ...)``, or with a list of unequal ones
    where the method takes them, it gives an array of as many rows. Called with a
    DataFrame whose rows are series, it gives a DataFrame or a Series with the same
    index. A block without rows gives none, and so tells shape, dtype and columns. A
    series gives the same bits in any block.

    A file that was replaced is opened anew. Save a changed model to another path,
    though, or blocks that are computed meanwhile come from both. Threads of a process
    share the estimator; the number of torch's own threads is left as it is.

    Examples
    --------
    >>> import pickle
    >>> import tempfile
    >>> from pathlib import Path
    >>> import numpy as np
    >>> import sktsrep
    >>> X = np.sin(np.linspace(0, 9, 48) + np.arange(20)[:, None])
    >>> encoder = sktsrep.SSLEncoder(max_epochs=0, device="cpu").fit(X)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     encoder.save(Path(folder, "encoder.safetensors"))
    ...     embed = sktsrep.block_function(Path(folder, "encoder.safetensors"))
    ...     Z = np.concatenate([embed(X[:7]), embed(X[7:])])
    >>> bool((Z == encoder.transform(X)).all())
    True
    >>> len(pickle.dumps(embed)) < 500
    True
    """

    def __init__(self, path, method="transform"):
        if method not in _METHODS:
            raise ValueError(
                f"method must be one of {sorted(_METHODS)}, got {method!r} instead."
            )
        self.path = os.path.abspath(path)  # other processes work in other folders
        self.method = method

    def __repr__(self):
        return f"block_function({self.path!r}, {self.method!r})"

    @property
    def __name__(self):
        return self.method  # dask names tasks by it

    def __call__(self, block):
        estimator = _estimator(self.path)
        # Without sample_shape_, rows are not series: Windows takes recordings.
        if not all(hasattr(estimator, name) for name in ("sample_shape_", self.method)):
            raise ValueError(
                f"{self.path!r} holds a {type(estimator).__name__}, which has no "
                f"{self.method} for series."
            )
        compute = getattr(estimator, self.method)
        if _num_samples(block):
            result = np.asarray(compute(block))
        else:
            one = np.zeros((1, *estimator.sample_shape_), np.asarray(block).dtype)
            result = np.asarray(compute(one))[:0]
        if isinstance(block, pd.DataFrame):
            return self._as_frame(result, block.index, estimator)
        return result

    def _as_frame(self, result, index, estimator):
        if result.ndim == 1:
            return pd.Series(result, index, name=self.method)
        if result.ndim > 2:
            raise ValueError(
                f"{self.method} gives an array of shape {result.shape}, which is no "
                "DataFrame. Give blocks as arrays."
            )
        if self.method == "transform":
            columns = estimator.get_feature_names_out()
        elif self.method == "predict_proba":
            columns = estimator.classes_
        else:
            columns = [f"{self.method}{i}" for i in range(result.shape[1])]
        return pd.DataFrame(result, index, columns)


_LOADING = threading.Lock()


def _renew_lock():
    """A forked process must not wait for threads that it does not have."""
    global _LOADING
    _LOADING = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_lock)


def _estimator(path):
    """Open a file once per process, and anew when it has changed."""
    try:
        status = os.stat(path)
    except FileNotFoundError as error:
        raise FileNotFoundError(
            f"{path!r} is not on {socket.gethostname()!r}: every process that computes "
            "blocks must see the file under this path."
        ) from error
    with _LOADING:
        return _load(os.path.realpath(path), status.st_mtime_ns, status.st_size)


@lru_cache(maxsize=4)
def _load(path, modified, size):
    return load(path)
