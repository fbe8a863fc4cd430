"""Cross-validation of windows."""

from numbers import Integral

import numpy as np
import pandas as pd
from sklearn.model_selection import BaseCrossValidator
from sklearn.utils import indexable
from sklearn.utils._param_validation import Interval, validate_parameter_constraints

__all__ = ["WindowKFold"]


class WindowKFold(BaseCrossValidator):
    """K-fold cross-validation of windows that never shares time.

    Every recording is divided into ``n_splits`` blocks of successive windows. A fold
    tests on the same block of all recordings, and trains on the other windows except
    those that share timepoints with a test window. For tests on recordings that are
    not trained on, use :class:`~sklearn.model_selection.GroupKFold`.

    Parameters
    ----------
    n_splits : int, default=5
        Number of folds, at least 2.
    gap : int, default=0
        Least number of timepoints between a training and a test window of the same
        recording.

    See Also
    --------
    sktsrep.recordings.Windows : Makes windows, and tells where they come from.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.dummy import DummyClassifier
    >>> from sklearn.model_selection import cross_val_score
    >>> from sktsrep.model_selection import WindowKFold
    >>> from sktsrep.recordings import Windows
    >>> recording = np.random.default_rng(0).normal(size=200)
    >>> windows = Windows(length=20)
    >>> X = windows.fit_transform(recording)
    >>> y = np.arange(len(X)) % 2
    >>> index = windows.window_index(recording)
    >>> train, test = next(WindowKFold().split(X, y, index))
    >>> test
    array([0, 1, 2, 3, 4, 5, 6, 7])
    >>> int(train[0])  # the first that begins after window 7 ends
    11
    >>> model = DummyClassifier()
    >>> len(cross_val_score(model, X, y, groups=index, cv=WindowKFold()))
    5
    """

    _parameter_constraints = {
        "n_splits": [Interval(Integral, 2, None, closed="left")],
        "gap": [Interval(Integral, 0, None, closed="left")],
    }
    # What scikit-learn's cross-validators with groups have: searches pass them on.
    __metadata_request__split = {"groups": True}

    def __init__(self, n_splits=5, *, gap=0):
        self.n_splits = n_splits
        self.gap = gap

    def get_n_splits(self, X=None, y=None, groups=None):
        """Give the number of folds.

        Parameters
        ----------
        X, y, groups : object
            Ignored.

        Returns
        -------
        int
        """
        return self.n_splits

    def split(self, X, y=None, groups=None):
        """Give the rows to train and to test on.

        Parameters
        ----------
        X : array-like of shape (n_windows, ...)
            Windows, or what was made of them.
        y : array-like of shape (n_windows,), default=None
            Ignored.
        groups : DataFrame of n_windows rows
            Output of :meth:`sktsrep.Windows.window_index`.

        Yields
        ------
        train, test : ndarray of int
            Rows of ``X``.

        Raises
        ------
        ValueError
            For other ``groups``, and for a fold without a window to train or test on.
        """
        name = type(self).__name__
        validate_parameter_constraints(self._parameter_constraints, vars(self), name)
        X, y, groups = indexable(X, y, groups)
        index = _check_index(groups)
        fold = _blocks(index, self.n_splits)
        for i in range(self.n_splits):
            is_test = fold == i
            is_near = _shares_time(index, index[is_test], self.gap)
            if not is_test.any() or is_near.all():
                kind = "train" if is_test.any() else "test"
                raise ValueError(
                    f"With n_splits={self.n_splits}, gap={self.gap} and {len(index)} "
                    f"windows, the {kind} set of fold {i} will be empty."
                )
            yield np.flatnonzero(~is_near), np.flatnonzero(is_test)


def _check_index(groups):
    """Refuse groups that do not tell where windows come from."""
    needed = ["recording", "start", "stop"]
    if not isinstance(groups, pd.DataFrame) or not set(needed) <= set(groups.columns):
        raise ValueError(
            "The 'groups' parameter should be the output of Windows.window_index, got "
            f"{type(groups).__name__} without the columns {needed}."
        )
    return groups[needed]


def _blocks(index, n_splits):
    """Number the blocks of every recording, in time, from 0 to ``n_splits - 1``."""
    starts = index.groupby("recording")["start"]
    rank = starts.rank(method="first") - 1
    return (rank * n_splits // starts.transform("size")).to_numpy()


def _shares_time(index, tested, gap):
    """Find the windows within a gap of tested ones, these included."""
    blocks = tested.groupby("recording").agg({"start": "min", "stop": "max"})
    # NaN, which nothing is close to, for recordings without a tested window.
    blocks = blocks.reindex(index["recording"])
    begins = index["start"].to_numpy() < blocks["stop"].to_numpy() + gap
    ends = index["stop"].to_numpy() > blocks["start"].to_numpy() - gap
    return begins & ends
