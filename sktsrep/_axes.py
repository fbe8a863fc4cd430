"""Advice on arrays whose axes seem to be in another order than meant."""

import sys

import numpy as np
import pandas as pd

from sktsrep._warnings import warn_user

__all__ = ["warn_of_axes"]

# Series shorter than this may be something else: channels, or rows of a recording.
_FEW_TIMEPOINTS = 8
_MANY_ROWS = 50


def warn_of_axes(estimator, given, X):
    """Warn, once per fit by the user, when the axes seem to be in another order."""
    # What a sampler without a tokenizer is fitted to are tokens.
    if getattr(estimator, "tokenizer", estimator) is None or _is_fitted_by_another(
        estimator
    ):
        return
    advice = _advice_on_axes(given, X)
    if advice:
        warn_user(advice, UserWarning)


def _is_fitted_by_another(estimator):
    """Whether a ``fit`` of this package fits the estimator as a part of its own."""
    frame = sys._getframe()
    while frame is not None:
        if (
            frame.f_code.co_name == "fit"
            and frame.f_globals.get("__name__", "").startswith("sktsrep.")
            and frame.f_locals.get("self") is not estimator
        ):
            return True
        frame = frame.f_back
    return False


def _advice_on_axes(given, X):
    """Say what seems to be wrong with the axes, and what helps; None for nothing."""
    n_rows, n_timepoints = X.shape[0], X.shape[-1]
    array = "X.to_numpy()" if isinstance(given, pd.DataFrame) else "X"
    length = int(np.clip(n_rows // 10, 2, 100))
    cut = (
        f"np.lib.stride_tricks.sliding_window_view({array}, {length}, axis=0)"
        f"[::{length // 2}]"
    )
    taken = f"Every row is taken for one series (n_timepoints={n_timepoints})."
    if _is_indexed_by_time(given):
        return (
            f"The rows of X are indexed by time. {taken} Cut a recording into series "
            f"(n_samples, n_channels, n_timepoints) by {cut}; give X.T if the columns "
            "are series; if the rows are series, X.reset_index(drop=True) says so."
        )
    if n_timepoints >= _FEW_TIMEPOINTS:
        return None
    if X.ndim == 3 and X.shape[1] >= max(_FEW_TIMEPOINTS, 4 * n_timepoints):
        return (
            f"X has shape {X.shape}, which means n_channels={X.shape[1]} and "
            f"n_timepoints={n_timepoints}. If channels come last, give "
            "np.swapaxes(X, 1, 2)."
        )
    if X.ndim == 2 and n_rows >= _MANY_ROWS and _is_in_temporal_order(X):
        return (
            f"X has shape {X.shape}, and its rows seem to be in temporal order. {taken}"
            " Cut a recording into series (n_samples, n_channels, n_timepoints) by "
            f"{cut}; give X.T if the columns are series."
        )
    return None


def _is_indexed_by_time(X):
    if not isinstance(X, pd.DataFrame):
        return False
    times = (pd.DatetimeIndex, pd.PeriodIndex, pd.TimedeltaIndex)
    levels = getattr(X.index, "levels", [X.index])
    return any(isinstance(level, times) for level in levels)


def _is_in_temporal_order(X, n_most=400):
    """Whether consecutive rows resemble each other as those of a recording do.

    Rows in the order of their classes resemble their neighbors, too, but no more than
    the rows after these. Of windows from one recording, the beginning of the next row
    resembles the end of the last.
    """
    first = np.linspace(0, len(X) - 3, min(n_most, len(X) - 2)).astype(np.int64)
    now, then, later = (X[first + k].astype(np.float64) for k in range(3))
    shuffled = np.random.default_rng(0).permutation(now)
    with np.errstate(all="ignore"):
        step = np.abs(then - now)
        scale = np.median(step, axis=0)
        scale = np.where(scale > 0, scale, now.std(axis=0))
        scale = np.where(scale > 0, scale, 1)
        one, two, far = (
            np.linalg.norm((rows - now) / scale, axis=1)
            for rows in (then, later, shuffled)
        )
        shifted = [
            np.median(np.abs(then[:, :-k] - now[:, k:])) for k in range(1, X.shape[1])
        ]
        are_windows = min(shifted, default=np.inf) < 0.9 * np.median(step)
        share = (one < two).mean() + (one == two).mean() / 2
    # 0.5 for rows in any order or by classes of many rows, and 0.6 for 5 rows each; a
    # random walk has at least 0.7, but 0.65 in one dimension.
    limit = 0.55 if X.shape[1] == 1 else 0.6
    is_ordered = share > limit + 0.8 / np.sqrt(len(first))
    is_near = np.median(one) < 0.4 * np.median(far)
    return bool(is_ordered and is_near and not are_windows)
