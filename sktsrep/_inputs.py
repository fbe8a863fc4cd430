"""What users give, as arrays of numbers: tensors, lists, frames, masks, objects."""

from numbers import Number

import numpy as np
import pandas as pd
import torch
from sklearn.utils import assert_all_finite

__all__ = ["as_array_like", "check_finite", "check_unmasked", "is_list_of_series"]

# Kinds of columns, by the words of pandas, that hold no numbers.
_NO_NUMBERS = {
    *("date", "datetime", "datetime64", "period", "time", "timedelta", "timedelta64"),
    "string",
}

_AXES = {
    2: ["row", "timepoint"],
    3: ["row", "channel", "timepoint"],
    4: ["row", "channel", "bin", "frame"],
}


def as_array_like(X, name, pad=False):
    """Unwrap tensors and lists; refuse what would lose a mask or fail obscurely.

    With ``pad``, series of unequal length, in a list or in the cells of a data frame,
    become one array with NaN at their ends.
    """
    if pad and _holds_series(X):
        X = [list(row) for row in X.to_numpy()]
        return _pad([[np.asarray(cell) for cell in row] for row in X], name)
    if isinstance(X, (torch.Tensor, list, tuple)):
        X = _unwrap(X, name)
    if isinstance(X, (list, tuple)):
        X = _stack(X, name, pad)
    check_unmasked(X, name)
    if isinstance(X, pd.DataFrame):
        _check_columns(X, name)
        cells = X.iloc[:, [d == np.dtype("O") for d in X.dtypes]].to_numpy()
    else:
        cells = X if isinstance(X, np.ndarray) else np.empty(0)
        cells = X.to_numpy() if isinstance(X, pd.Series) else cells
    if cells.dtype == object and cells.size:
        _check_cells(cells, name, np.size(X))
        # Nothing but NaN becomes a float.
        missing = pd.isna(X)
        X = X.mask(missing, np.nan) if hasattr(X, "mask") else X
        X = np.where(missing, np.nan, X) if isinstance(X, np.ndarray) else X
    if cells.dtype.kind in "Mm":
        raise ValueError(f"{name} must hold numbers, got {cells.dtype} instead.")
    return X


def _unwrap(X, name):
    """Turn tensors, also those in lists, into arrays on the CPU."""
    if isinstance(X, torch.Tensor):
        X = X.float() if X.dtype == torch.bfloat16 else X  # numpy has no bfloat16
        return X.numpy(force=True)
    if isinstance(X, (list, tuple)) and X and not isinstance(X[0], Number):
        return [_unwrap(item, name) for item in X]
    check_unmasked(X, name)
    return X


def check_unmasked(X, name):
    if np.ma.is_masked(X):
        raise ValueError(
            f"{name} has masked values, which would be taken as they are. Give "
            f"{name}.filled(np.nan) where NaN may stand for missing values, otherwise "
            "drop these series."
        )


def is_list_of_series(X):
    """Whether ``X`` is a list of series, whose lengths then are their own matter.

    A list of lists of equal length is no more than one array.
    """
    if not isinstance(X, (list, tuple)) or not X:
        return False
    kinds = (np.ndarray, torch.Tensor, pd.Series)
    are_arrays = all(isinstance(x, kinds) and x.ndim for x in X)
    return are_arrays or len(set(_lengths(X))) > 1


def _holds_series(X):
    """Whether the cells of a data frame hold series."""
    if not isinstance(X, pd.DataFrame) or X.empty:
        return False
    kinds = (np.ndarray, torch.Tensor, pd.Series, list)
    return all(isinstance(cell, kinds) for cell in X.iloc[0])


def _pad(rows, name):
    """Make an array (n_samples, n_channels, time) of lists of channels."""
    n_channels = {len(row) for row in rows}
    if len(n_channels) > 1 or any(x.ndim != 1 for row in rows for x in row):
        raise ValueError(
            f"{name} must hold series of shape (n_timepoints,) or (n_channels, "
            "n_timepoints), all with the same channels."
        )
    lengths = [max(len(x) for x in row) for row in rows]
    if 0 in lengths:
        raise ValueError(
            f"{name} has no timepoints in row {lengths.index(0)}: drop it."
        )
    kinds = {x.dtype for row in rows for x in row}
    dtype = np.result_type(*kinds)
    if dtype.kind not in "iufb":
        raise ValueError(f"{name} must hold numbers, got {dtype} instead.")
    dtype = dtype if dtype.kind == "f" else np.float64
    padded = np.full((len(rows), n_channels.pop(), max(lengths)), np.nan, dtype=dtype)
    for row, channels in zip(padded, rows, strict=True):
        for values, x in zip(row, channels, strict=True):
            values[: len(x)] = x
    return padded


def _pad_list(X, name):
    """Make one array of a list of series (n_timepoints,) or (n_channels, ...)."""
    X = [np.asarray(x) for x in X]
    if all(x.ndim == 1 for x in X):
        return _pad([[x] for x in X], name)[:, 0]
    return _pad([list(x) if x.ndim == 2 else [x] for x in X], name)


def _stack(X, name, pad=False):
    """Make one array of a list; say which lengths differ where that is impossible."""
    try:
        return np.asarray(X)
    except ValueError as error:
        if pad:
            return _pad_list(X, name)
        lengths = set(_lengths(X))
        if len(lengths) > 1:
            raise _unequal_length(name, lengths) from error
        raise ValueError(
            f"{name} must hold series with the same channels, got a list of items "
            "whose shapes differ."
        ) from error


def _lengths(X):
    """Lengths of the innermost sequences in lists of lists, arrays or frames."""
    if hasattr(X, "shape"):
        return X.shape[-1:]
    if not isinstance(X, (list, tuple)):
        return []
    return [n for item in X for n in _lengths(item)] or [len(X)]


def _unequal_length(name, lengths):
    return ValueError(
        f"All series of {name} must have equal length, got lengths from "
        f"{min(lengths)} to {max(lengths)}: cut or resample them to one length."
    )


def _check_columns(frame, name):
    """Refuse columns of dates or text."""
    for place, (column, dtype) in enumerate(frame.dtypes.items()):
        if dtype.kind not in "OMm":
            continue
        values = frame.iloc[:, place]
        kind = pd.api.types.infer_dtype(values)
        if kind == "string" and not pd.to_numeric(values, errors="coerce").isna().all():
            continue
        if kind not in _NO_NUMBERS:
            continue
        raise ValueError(
            f"Every column of {name} must hold a timepoint's values, but column "
            f"{column!r} holds values of the kind {kind!r}, which could not be "
            f"converted. Drop it: {name}.drop(columns={column!r})."
        )


def _check_cells(cells, name, n_cells):
    """Refuse an array of objects that has series in its cells."""
    containers = (pd.Series, np.ndarray, torch.Tensor, list, tuple)
    nested = [cell for cell in cells.ravel() if isinstance(cell, containers)]
    if not nested:
        return
    lengths = {len(cell) for cell in nested if np.ndim(cell) == 1}
    if cells.ndim == 1 and len(lengths) < 2:
        lengths = {n for cell in nested for n in _lengths(cell)}
    if len(lengths) > 1:
        raise _unequal_length(name, lengths)
    if cells.ndim == 1:
        raise ValueError(
            f"{name} must be one array, got an array of arrays. Give np.stack({name})."
        )
    places = "every cell" if len(nested) == n_cells else "some cells"
    raise ValueError(
        f"The cells of {name} must be numbers, got a {type(nested[0]).__name__} in "
        f"{places}. Make one array (n_samples, n_channels, n_timepoints), such as "
        f"np.stack([np.stack(column) for column in np.asarray({name}).T], axis=1)."
    )


def check_finite(X, name, allow_nan=False):
    """Raise ValueError for NaN and infinity, and say where they begin."""
    try:
        # It sums first, which may overflow for finite values.
        with np.errstate(over="ignore", invalid="ignore"):
            assert_all_finite(X, allow_nan=allow_nan, input_name=name)
    except ValueError as error:
        is_bad, advice = np.isinf, "mark missing values by NaN"
        if "NaN" in str(error):
            is_bad = np.isnan
            advice = "fill in missing values by GaussianImputer.impute"
        elif not allow_nan:
            advice += " and fill them in by GaussianImputer.impute"
        place = np.argwhere(is_bad(X))[0]
        axes = _AXES.get(X.ndim, ["row"])
        where = ", ".join(f"{a} {i}" for a, i in zip(axes, place, strict=False))
        raise ValueError(
            f"{error} The first is in {where}. Drop such series, or {advice}."
        ) from None
