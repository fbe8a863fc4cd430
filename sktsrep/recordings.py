"""Windows of long recordings, and back to recordings."""

from itertools import pairwise, repeat
from numbers import Integral

import numpy as np
import pandas as pd
from numpy.lib.stride_tricks import sliding_window_view
from sklearn.base import BaseEstimator, TransformerMixin, _fit_context
from sklearn.utils import assert_all_finite
from sklearn.utils._param_validation import Interval
from sklearn.utils.validation import check_array, check_is_fitted, validate_data

from sktsrep._fit import all_or_nothing
from sktsrep._inputs import as_array_like
from sktsrep._sliding import fill_sliding, overlapping_mean
from sktsrep._validation import check_positive_int
from sktsrep._versions import VersionedMixin

__all__ = ["Windows"]

_FLOATS = [np.float64, np.float32, np.float16]


class Windows(VersionedMixin, TransformerMixin, BaseEstimator):
    """Cut recordings into windows of equal length, and put windows together again.

    A recording is one long series ``(n_timepoints,)`` or ``(n_timepoints,
    n_channels)``: an array, a memory map, a DataFrame or a Series. Wherever one is
    taken, a list or tuple of several is taken, too. Their lengths may differ. NaN
    stands for missing values and is kept.

    Parameters
    ----------
    length : int
        Length of a window in timepoints.
    step : int, default=None
        Timepoints from the start of one window to the start of the next; None is a
        quarter of ``length``.

    Attributes
    ----------
    n_features_in_ : int
        Number of channels.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the channels; only when the recordings have names that are all strings.

    See Also
    --------
    sktsrep.model_selection.WindowKFold : Cross-validation that shares no time.

    Notes
    -----
    Where the steps do not end with the recording, one more window does. Every timepoint
    is thus part of some window, unless ``step`` exceeds ``length`` or the window has
    no value: there is no such window, and curves over time are NaN in its place. Memory
    maps are not read for that, so all their windows are there.

    A list of numbers, or of lists of numbers, is a single recording.

    In a pipeline, rows are timepoints before this step and windows after it. Labels
    belong to windows, so a classifier is cross-validated on the output of
    :meth:`transform`, not in one pipeline with this step.

    Examples
    --------
    >>> import numpy as np
    >>> from sktsrep.recordings import Windows
    >>> recording = np.random.default_rng(0).normal(size=(1000, 2))
    >>> windows = Windows(length=64, step=16)
    >>> X = windows.fit_transform(recording)
    >>> X.shape
    (60, 2, 64)
    >>> windows.window_index(recording).tail(2)
        recording  start  stop
    58          0    928   992
    59          0    936  1000
    >>> bool(np.array_equal(windows.inverse_transform(X, recording), recording))
    True

    A score per window becomes a curve over time:

    >>> windows.inverse_scores(X.std(axis=(1, 2)), recording).shape
    (1000,)
    """

    _parameter_constraints = {
        "length": [Interval(Integral, 1, None, closed="left")],
        "step": [Interval(Integral, 1, None, closed="left"), None],
    }

    def __init__(self, length, *, step=None):
        self.length = length
        self.step = step

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.transformer_tags.preserves_dtype = ["float64", "float32", "float16"]
        return tags

    @_fit_context(prefer_skip_nested_validation=True)
    @all_or_nothing
    def fit(self, X, y=None):
        """Learn the channels; nothing else is learned.

        Parameters
        ----------
        X : array-like of shape (n_timepoints,) or (n_timepoints, n_channels), or list
            Recording, or several.
        y : None
            Ignored.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            For a recording shorter than a window, other channels than those of the
            first recording, infinity, text, dates, or windows in place of recordings.
        TypeError
            For sparse data.
        """
        self._validate(X, reset=True)
        return self

    def _validate(self, X, reset):
        """Check recordings; give arrays of shape (n_timepoints, n_channels)."""
        items, is_list = _as_items(X)
        _check_axes(items)
        recordings = []
        for number, item in enumerate(items):
            try:
                recordings.append(self._validate_item(item, reset and number == 0))
            except ValueError as error:
                if not is_list:
                    raise
                raise ValueError(f"Recording {number}: {error}") from error
        return recordings

    def _validate_item(self, item, reset):
        is_read = not isinstance(item, np.memmap)
        if isinstance(item, pd.Series):
            item = item.to_frame()
        elif len(item.shape) == 1:
            item = np.reshape(item, (-1, 1))
        if isinstance(item, pd.DataFrame):
            _check_columns(item)
        recording = validate_data(
            self,
            item,
            reset=reset,
            dtype="numeric",
            ensure_all_finite=False,
            ensure_min_samples=self.length,
        )
        if is_read:
            _refuse_infinity(recording)
        return recording

    def _step(self):
        return self.step or max(1, self.length // 4)

    def _index(self, recordings):
        """Make a table of recording, start and stop of every window."""
        starts = [self._starts(recording) for recording in recordings]
        with_values = [*map(_with_values, recordings, starts, repeat(self.length))]
        if sum(map(len, with_values)):
            starts = with_values
        number = np.repeat(np.arange(len(starts)), [len(start) for start in starts])
        start = np.concatenate(starts)
        return pd.DataFrame(
            {"recording": number, "start": start, "stop": start + self.length}
        )

    def _starts(self, recording):
        """First timepoints of the windows of a recording."""
        end = len(recording) - self.length
        # Where steps reach the last start, it is there twice.
        return np.unique(np.r_[0 : end + 1 : self._step(), end])

    def window_index(self, X):
        """Tell where every window comes from.

        Parameters
        ----------
        X : array-like of shape (n_timepoints,) or (n_timepoints, n_channels), or list
            Recording, or several.

        Returns
        -------
        DataFrame
            A row per window, in the order of :meth:`transform`, with columns
            ``recording`` (its place in the list), ``start`` and ``stop`` (timepoints;
            the window ends before ``stop``). Recordings with an index add ``time``, the
            index at ``start``. The table is the ``groups`` of
            :class:`~sktsrep.model_selection.WindowKFold`, and its first column those of
            :class:`~sklearn.model_selection.GroupKFold`.
        """
        check_is_fitted(self)
        index = self._index(self._validate(X, reset=False))
        items, _ = _as_items(X)
        if all(hasattr(item, "iloc") for item in items):
            starts = index.groupby("recording")["start"]
            times = [items[i].index[rows.to_numpy()].to_series() for i, rows in starts]
            index["time"] = pd.concat(times, ignore_index=True)
        return index

    def transform(self, X):
        """Cut recordings into windows.

        Parameters
        ----------
        X : array-like of shape (n_timepoints,) or (n_timepoints, n_channels), or list
            Recording, or several.

        Returns
        -------
        ndarray of shape (n_windows, n_channels, length)
            Windows of the first recording in time, then those of the next;
            ``(n_windows, length)`` for recordings without a channel axis. A float dtype
            is kept. For a single recording of floats whose steps reach its end, the
            array is a read-only view: it needs no memory, and no value of a memory map
            is read yet, nor checked. Anything else is copied, see
            :meth:`transform_batches`.
        """
        check_is_fitted(self)
        recordings = self._validate(X, reset=False)
        first = recordings[0]
        view = sliding_window_view(first, self.length, axis=0)[:: self._step()]
        is_regular = (len(first) - self.length) % self._step() == 0
        is_one = len(recordings) == 1 and is_regular and first.dtype in _FLOATS
        if is_one and _is_mapped(first):  # whose index would be long, too
            return _with_axes_of(X, view)
        index = self._index(recordings)
        is_whole = is_one and len(index) == len(view)
        windows = view if is_whole else _cut(recordings, index, self.length)
        return _with_axes_of(X, windows)

    def transform_batches(self, X, batch_size=1024):
        """Cut recordings into windows, a few at a time.

        No more is read from a memory map, and no more memory is taken, than a batch
        needs.

        Parameters
        ----------
        X : array-like of shape (n_timepoints,) or (n_timepoints, n_channels), or list
            Recording, or several.
        batch_size : int, default=1024
            Windows per batch; the last batch may have fewer.

        Returns
        -------
        iterator of ndarray
            Joined, the batches are the output of :meth:`transform`.

        Examples
        --------
        >>> import numpy as np
        >>> from sktsrep.recordings import Windows
        >>> recording = np.zeros((500, 3))
        >>> windows = Windows(length=100).fit(recording)
        >>> [X.shape for X in windows.transform_batches(recording, batch_size=10)]
        [(10, 3, 100), (7, 3, 100)]
        """
        check_is_fitted(self)
        check_positive_int(batch_size, "batch_size")
        recordings = self._validate(X, reset=False)
        index = self._index(recordings)
        # Not a generator function, because its errors would come late.
        return (
            _with_axes_of(X, _cut(recordings, index[i : i + batch_size], self.length))
            for i in range(0, len(index), batch_size)
        )

    def inverse_transform(self, X, recordings):
        """Put windows together to recordings.

        Where windows overlap, a timepoint is their weighted mean. A window's weights
        are a squared sine over its length, so its middle counts most; they are positive
        at its ends. NaN does not count.

        Parameters
        ----------
        X : array-like of shape (n_windows, n_channels, length)
            Windows in the order of :meth:`transform`; ``(n_windows, length)`` for one
            channel.
        recordings : array-like, or list
            Where the windows come from. Only lengths, columns, indices and windows
            without a value are taken from it.

        Returns
        -------
        ndarray, DataFrame, Series or list of these
            Like ``recordings``. NaN where no window has a value. Windows that were not
            changed give exactly what they were cut from.
        """
        check_is_fitted(self)
        arrays = self._validate(recordings, reset=False)
        X = check_array(
            X, dtype=_FLOATS, allow_nd=True, ensure_all_finite=False, input_name="X"
        )
        windows = X[:, None] if X.ndim == 2 else X
        index = self._index(arrays)
        expected = (len(index), self.n_features_in_, self.length)
        if windows.shape != expected:
            raise ValueError(
                f"X has shape {X.shape}, but Windows is expecting {expected} for these "
                "recordings."
            )
        means = _means(windows, index, arrays)
        items, is_list = _as_items(recordings)
        results = [_like(item, mean) for item, mean in zip(items, means, strict=True)]
        return results if is_list else results[0]

    def fill_gaps(self, X, impute):
        """Fill in the gaps of recordings, also those longer than a window.

        Windows slide over a gap. Each one begins with values that are known or were
        filled in before, so that a gap becomes one curve; see :meth:`transform` for
        windows whose overlaps know nothing of each other.

        Parameters
        ----------
        X : array-like of shape (n_timepoints,) or (n_timepoints, n_channels), or list
            Recording, or several, in which NaN is missing.
        impute : callable
            Fills windows such as those of :meth:`transform`: the ``impute`` of a
            sampler or :class:`~sktsrep.imputation.GaussianImputer` that was fitted on
            such windows, or any other function.

        Returns
        -------
        ndarray, DataFrame, Series or list of these
            Like ``X``. Values that are known are exactly those given.

        Notes
        -----
        For an interval, fill several times with a sampler, each time with another
        ``random_state``: ``functools.partial(sampler.impute, random_state=seed)``.

        Examples
        --------
        >>> import numpy as np
        >>> from sktsrep.imputation import GaussianImputer
        >>> from sktsrep.recordings import Windows
        >>> recording = np.sin(np.arange(500) / 4)
        >>> gaps = recording.copy()
        >>> gaps[100:180] = np.nan
        >>> windows = Windows(length=60, step=1).fit(gaps)
        >>> imputer = GaussianImputer().fit(windows.transform(gaps))
        >>> filled = windows.fill_gaps(gaps, imputer.impute)
        >>> bool(np.abs(filled - recording).max() < 0.4)
        True
        """
        check_is_fitted(self)
        if not callable(impute):
            raise TypeError(
                "impute must be a function of windows, such as GaussianImputer().fit("
                f"windows).impute, got {type(impute).__name__} instead."
            )
        items, is_list = _as_items(X)
        arrays = [
            np.array(x, dtype=x.dtype if x.dtype in _FLOATS else float)
            for x in self._validate(X, reset=False)
        ]

        def fill(windows):
            windows = _with_axes_of(X, windows)
            filled = np.asarray(impute(windows))
            if filled.shape != windows.shape:
                raise ValueError(
                    f"impute must give windows of shape {windows.shape}, got "
                    f"{filled.shape} instead."
                )
            return filled.reshape(len(windows), -1, self.length)

        fill_sliding(arrays, self.length, fill)
        results = [_like(item, x) for item, x in zip(items, arrays, strict=True)]
        return results if is_list else results[0]

    def inverse_scores(self, scores, recordings):
        """Spread scores of windows over the time of the recordings.

        Parameters
        ----------
        scores : array-like of shape (n_windows,) or (n_windows, length)
            A number per window, which all its timepoints get, or one per timepoint of
            every window. The order is that of :meth:`transform`.
        recordings : array-like, or list
            Where the windows come from. Only lengths, indices and windows without a
            value are taken from it.

        Returns
        -------
        ndarray of shape (n_timepoints,), Series, or list of these
            The weighted mean of the scores at a timepoint, with the weights of
            :meth:`inverse_transform`. A Series where the recording has an index.
        """
        check_is_fitted(self)
        arrays = self._validate(recordings, reset=False)
        scores = check_array(
            scores,
            dtype=_FLOATS,
            ensure_2d=False,
            ensure_all_finite=False,
            input_name="scores",
        )
        index = self._index(arrays)
        shape = (len(index), self.length)
        if scores.shape not in [shape[:1], shape]:
            raise ValueError(
                f"scores has shape {scores.shape}, but Windows is expecting "
                f"{shape[:1]} or {shape} for these recordings."
            )
        columns = scores.reshape(len(index), 1, -1)
        windows = np.broadcast_to(columns, (len(index), 1, self.length))
        items, is_list = _as_items(recordings)
        curves = [mean[:, 0] for mean in _means(windows, index, arrays)]
        results = [
            pd.Series(curve, index=item.index) if hasattr(item, "iloc") else curve
            for item, curve in zip(items, curves, strict=True)
        ]
        return results if is_list else results[0]

    def set_output(self, *, transform=None):
        """Do nothing: windows are always arrays.

        Parameters
        ----------
        transform : {"default", "pandas", "polars"}, default=None
            Ignored, so that pipelines can pass it on.

        Returns
        -------
        self
        """
        return self


def _as_items(X):
    """Give a list of recordings as the caller made them, and whether there was one."""
    # Lists of numbers are a recording, as they are an array everywhere else.
    is_list = isinstance(X, (list, tuple)) and any(getattr(x, "shape", ()) for x in X)
    items = X if is_list else [X]
    items = [x if hasattr(x, "iloc") else as_array_like(x, "X") for x in items]
    return [x if hasattr(x, "shape") else np.asarray(x) for x in items], is_list


def _check_axes(items):
    """Refuse windows in place of recordings, and a mixture of axes."""
    n_axes = {len(item.shape) for item in items}
    if max(n_axes) > 2:
        raise ValueError(
            f"Found array with dim {max(n_axes)}. Windows expected <= 2: a recording "
            "(n_timepoints,) or (n_timepoints, n_channels). Series (n_samples, "
            "n_channels, n_timepoints) need no windows; to cut them anyway, give "
            "list(np.swapaxes(X, 1, 2))."
        )
    if len(n_axes) > 1:
        raise ValueError(
            "All recordings must have a channel axis, or none must, got both."
        )


def _check_columns(frame):
    """Refuse columns of dates."""
    for column, dtype in frame.dtypes.items():
        if dtype.kind in "Mm":
            raise ValueError(
                f"Every column must be a channel, but column {column!r} holds {dtype}. "
                f"Make it the index: X.set_index({column!r})."
            )


def _refuse_infinity(X):
    # It sums first, which may give infinity of both signs.
    with np.errstate(invalid="ignore"):
        assert_all_finite(X, allow_nan=True, input_name="X")


def _with_axes_of(X, windows):
    """Drop the channel axis where recordings have none."""
    items, _ = _as_items(X)
    return windows[:, 0] if len(items[0].shape) == 1 else windows


def _cut(recordings, index, length):
    """Copy the windows of a table."""
    dtypes = {r.dtype if r.dtype in _FLOATS else np.dtype(float) for r in recordings}
    shape = (len(index), recordings[0].shape[1], length)
    windows = np.empty(shape, dtype=np.result_type(*dtypes))
    places = zip(index["recording"], index["start"], strict=True)
    for window, (number, start) in zip(windows, places, strict=True):
        window[:] = recordings[number][start : start + length].T
    _refuse_infinity(windows)  # those of a memory map were not looked at before
    return windows


def _with_values(recording, starts, length):
    """Those starts whose windows have a value; all of a memory map, to not read it."""
    if recording.dtype.kind != "f" or _is_mapped(recording):
        return starts
    is_known = ~np.isnan(recording).all(axis=1)  # some channel has a value
    n_known = np.r_[0, is_known.cumsum()]
    return starts[n_known[starts + length] > n_known[starts]]


def _is_mapped(array):
    while array is not None and not isinstance(array, np.memmap):
        array = getattr(array, "base", None)
    return array is not None


def _means(windows, index, recordings):
    """Weighted mean at every timepoint, recording by recording."""
    ends = np.searchsorted(index["recording"], np.arange(len(recordings)), "right")
    for recording, (first, last) in zip(recordings, pairwise([0, *ends]), strict=True):
        _refuse_infinity(windows[first:last])
        starts = index["start"][first:last]
        mean = overlapping_mean(windows[first:last], starts, len(recording))
        yield mean.astype(windows.dtype)


def _like(recording, values):
    """Give values the type, axes, index and columns of a recording."""
    if isinstance(recording, pd.DataFrame):
        return pd.DataFrame(values, recording.index, recording.columns)
    values = values[:, 0] if len(recording.shape) == 1 else values
    if isinstance(recording, pd.Series):
        return pd.Series(values, recording.index, name=recording.name)
    return values
