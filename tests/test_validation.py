"""What users give: axes, masks, gaps and shapes that are taken or refused in words."""

import warnings

import numpy as np
import pandas as pd
import pytest
import torch
from estimators import (
    tiny_autoregressive,
    tiny_fcn,
    tiny_sampler,
    tiny_tokenizer,
    tiny_vae,
    waves,
)
from sklearn.base import BaseEstimator
from sklearn.datasets import load_iris

from sktsrep import STFTTransformer
from sktsrep._validation import (
    check_mask,
    check_positive_int,
    check_series,
    class_indices,
    validate_beginnings,
    validate_series,
    validate_tokens,
)


def random(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


def walk(*shape):
    return random(*shape).cumsum(axis=0)


def fit(X):
    return STFTTransformer(device="cpu").fit(X)


class Complete(BaseEstimator):
    """Needs series without gaps, all of one length."""

    def fit(self, X):
        validate_series(self, X, reset=True)
        return self

    def transform(self, X):
        return validate_series(self, X, reset=False)


def hours(n):
    return pd.date_range("2020", periods=n, freq="h")


# ----------------------------------------------------------------------- the wrong axis

TIMES = {
    "datetime": hours(60),
    "period": hours(60).to_period("h"),
    "timedelta": hours(60) - hours(1)[0],
    "series and time": pd.MultiIndex.from_arrays([np.arange(60) // 20, hours(60)]),
}


@pytest.mark.parametrize("index", TIMES)
@pytest.mark.parametrize("n_columns", [1, 7, 30])
def test_rows_indexed_by_time(index, n_columns):
    frame = pd.DataFrame(random(60, n_columns), index=TIMES[index])
    with pytest.warns(UserWarning, match=r"indexed by time.*sliding_window_view") as w:
        fit(frame)
    assert [warning.filename for warning in w] == [__file__]
    fit(frame.reset_index(drop=True))
    fit(frame.T)


@pytest.mark.parametrize("n_channels", [1, 3, 7])
def test_channels_last(n_channels):
    with pytest.warns(UserWarning, match=r"np\.swapaxes\(X, 1, 2\)"):
        fit(random(9, 40, n_channels))
    fit(random(9, n_channels, 40))


@pytest.mark.parametrize("shape", [(9, 12, 8), (9, 7, 2), (9, 20, 6), (2, 900, 144)])
def test_many_channels_are_no_mistake(shape):
    fit(random(*shape))


@pytest.mark.parametrize("n_channels", [1, 2, 3, 7])
@pytest.mark.parametrize("kind", [np.float32, np.float64, np.int64, list])
def test_rows_in_temporal_order(n_channels, kind):
    X = 100 * walk(500, n_channels)
    X = X.tolist() if kind is list else X.astype(kind)
    with pytest.warns(UserWarning, match=r"temporal order.*sliding_window_view.*X\.T"):
        fit(X)


def test_the_advice_runs():
    X = walk(500, 3)
    windows = np.lib.stride_tricks.sliding_window_view(X, 50, axis=0)[::25]
    with pytest.warns(UserWarning, match=r"sliding_window_view\(X, 50, axis=0\)\[::25"):
        fit(X)
    assert fit(windows).sample_shape_ == (3, 50)


@pytest.mark.parametrize("n_timepoints", [1, 2, 7])
@pytest.mark.parametrize("n_rows", [50, 400])
def test_rows_in_any_order(n_rows, n_timepoints):
    for seed in range(20):
        fit(random(n_rows, n_timepoints, seed=seed))
        fit(np.random.default_rng(seed).permutation(walk(n_rows, n_timepoints)))


@pytest.mark.parametrize("n_timepoints", [1, 2, 7])
@pytest.mark.parametrize("size", [20, 50, 100])
def test_rows_in_the_order_of_their_classes(size, n_timepoints):
    for seed in range(10):
        centers = 10 * random(300 // size, n_timepoints, seed=seed)
        fit(centers.repeat(size, axis=0) + random(len(centers) * size, n_timepoints))


def test_iris_is_no_recording():
    fit(load_iris().data)


@pytest.mark.parametrize("hop", [1, 3, 7])
def test_windows_of_a_recording_are_series(hop):
    X = np.lib.stride_tricks.sliding_window_view(walk(900), 7)[::hop]
    fit(X)


def test_constant_rows_are_no_recording():
    fit(np.ones((90, 5)))


def test_long_series_in_temporal_order_are_series():
    fit(walk(500, 8))


def test_tokens_in_temporal_order():
    tokens = np.arange(80).reshape(-1, 1) // 20 + np.zeros((1, 5), dtype=int)
    tiny_sampler().fit(tokens)
    tiny_sampler().fit(pd.DataFrame(tokens, index=hours(80)))


def test_an_estimator_around_another_warns_once():
    frame = pd.DataFrame(random(60, 7), index=hours(60))
    with pytest.warns(UserWarning, match="indexed by time") as caught:
        tiny_sampler(tiny_tokenizer(max_epochs=0), max_epochs=0).fit(frame)
    assert [warning.filename for warning in caught] == [__file__]


def test_only_fits_warn():
    fitted = fit(random(60, 7))
    fitted.transform(walk(60, 7))


DATES = {
    "datetime64": pd.Series(hours(9)),
    "time zone": pd.Series(hours(9).tz_localize("UTC")),
    "period": pd.Series(hours(9).to_period("h")),
    "timedelta": pd.Series(hours(9) - hours(1)[0]),
    "objects": pd.Series(list(hours(9).to_pydatetime()), dtype=object),
    "dates": pd.Series(list(hours(9).date), dtype=object),
    "text": pd.Series(hours(9).astype(str)),
}


@pytest.mark.parametrize("kind", DATES)
def test_columns_of_times_are_named(kind):
    frame = pd.DataFrame(random(9, 3), columns=list("abc")).assign(when=DATES[kind])
    with pytest.raises(ValueError, match=r"'when'.*X\.drop\(columns='when'\)"):
        fit(frame)


def test_arrays_of_times():
    with pytest.raises(ValueError, match="must hold numbers, got datetime64"):
        fit(np.array(hours(9)).reshape(3, 3))


def test_columns_of_numbers_in_text():
    assert fit(pd.DataFrame({"a": ["1", "2"], "b": ["3", "4.5"]})).n_timepoints_ == 2


# ----------------------------------------------------------------------------- masked


def entrances():
    """List what checks series, given one argument."""
    fitted = fit(np.ones((3, 9)))
    return {
        "fit": fit,
        "transform": fitted.transform,
        "check_series": lambda X: check_series(X, "X"),
        "validate_tokens": lambda X: validate_tokens(X, 9, None),
        "check_mask": lambda X: check_mask(X, np.ones((3, 9))),
        "validate_beginnings": lambda X: validate_beginnings(fitted, X),
    }


@pytest.mark.parametrize("name", entrances())
def test_masked_values_are_refused(name):
    X = np.ma.array(np.ones((3, 9)), mask=False)
    entrances()[name](X)
    X[1, 2] = np.ma.masked
    with pytest.raises(ValueError, match=r"masked values.*filled\(np\.nan\)"):
        entrances()[name](X)
    with pytest.raises(ValueError, match="masked values"):
        entrances()[name](list(X))


@pytest.mark.parametrize("labels", [class_indices, lambda y: tiny_fcn().fit(X4, y)])
def test_masked_labels_are_refused(labels):
    with pytest.raises(ValueError, match="y has masked values"):
        labels(np.ma.array([0, 1, 0, 1], mask=[0, 1, 0, 0]))


X4 = np.ones((4, 9))

# ---------------------------------------------------------------------- errors in words


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_errors_say_where_a_value_is_missing(value, dtype):
    X = np.ones((4, 2, 9), dtype=dtype)
    X[2, 1, 3] = X[3] = value
    kind = "NaN" if np.isnan(value) else "infinity"
    expected = rf"contains {kind}.*row 2, channel 1, timepoint 3.*impute"
    for call in (Complete().fit, Complete().fit(np.ones((4, 2, 9))).transform):
        with pytest.raises(ValueError, match=expected) as caught:
            call(X)
        assert "HistGradientBoosting" not in str(caught.value)
        assert len(str(caught.value).splitlines()) == 1
    with pytest.raises(ValueError, match=r"row 2, timepoint 3"):
        Complete().fit(X[:, 1])
    with pytest.raises(ValueError, match=expected):
        check_series(X, "X")


@pytest.mark.parametrize("missing", [None, np.nan, pd.NA])
def test_missing_objects(missing):
    X = np.array([[1.0, missing], [2.0, 3.0]], dtype=object)
    for given in (X, X.tolist(), pd.DataFrame(X), pd.DataFrame(X).convert_dtypes()):
        with pytest.raises(ValueError, match=r"contains NaN.*row 0, timepoint 1"):
            Complete().fit(given)


@pytest.mark.parametrize("shape", [(7, 16), (2, 5, 9)])
def test_a_sample_without_its_axis(shape):
    tokenizer = tiny_vae() if len(shape) == 2 else None
    estimator = fit(random(3, *shape)) if tokenizer else None
    if estimator is None:
        estimator = tiny_tokenizer(max_epochs=0, n_fft=8, hop_length=2)
        estimator.fit(STFTTransformer(8, device="cpu").fit_transform(random(3, 16)))
        shape = estimator.sample_shape_
    with pytest.raises(ValueError, match=r"first axis \(samples\) is missing.*X\[None"):
        estimator.transform(np.zeros(shape))


def test_a_beginning_without_its_axis():
    sampler = tiny_autoregressive(tiny_tokenizer(max_epochs=0), max_epochs=0)
    sampler.fit(waves(n_channels=2)[0])
    with pytest.raises(ValueError, match=r"first axis \(samples\) is missing.*X\[None"):
        sampler.extend(np.zeros((2, 20)))


def test_channels_last_at_prediction():
    with pytest.raises(ValueError, match=r"expecting samples.*np\.swapaxes\(X, 1, 2\)"):
        fit(random(4, 3, 20)).transform(random(4, 20, 3))


def cells(*series):
    array = np.empty(len(series), dtype=object)
    array[:] = series
    return array


LONG, SHORT = np.ones(5), np.ones(3)
UNEQUAL = {
    "arrays": [LONG, SHORT],
    "lists": [[1, 2, 3], [1, 2, 3, 4, 5]],
    "tuples": ((1, 2, 3), (1, 2, 3, 4, 5)),
    "channels": [np.ones((2, 5)), np.ones((2, 3))],
    "within a series": [[[1, 2, 3], [1, 2, 3, 4, 5]]],
    "tensors": [torch.ones(5), torch.ones(3)],
    "pandas": [pd.Series(LONG), pd.Series(SHORT)],
    "frames": [pd.DataFrame(np.ones((2, 5))), pd.DataFrame(np.ones((2, 3)))],
    "objects": cells(LONG, SHORT),
    "objects of channels": cells(np.ones((2, 5)), np.ones((2, 3))),
    "series of series": pd.Series([LONG, SHORT]),
    "cells": pd.DataFrame({"a": [LONG, SHORT]}),
}


@pytest.mark.parametrize("case", UNEQUAL)
def test_unequal_lengths(case):
    for call in (Complete().fit, lambda X: check_series(X, "X")):
        with pytest.raises(ValueError, match="equal length, got lengths from 3 to 5"):
            call(UNEQUAL[case])


def test_unequal_channels():
    with pytest.raises(ValueError, match="same channels"):
        fit([np.ones((2, 5)), np.ones((3, 5))])


@pytest.mark.parametrize("kind", [pd.Series, np.asarray, list])
def test_nested_frames(kind):
    X = random(3, 2, 5)
    frame = pd.DataFrame({c: [kind(row) for row in X[:, c]] for c in range(2)})
    with pytest.raises(ValueError, match=r"must be numbers, got a \w+ in every cell"):
        Complete().fit(frame)
    frame = frame.astype({0: object}).assign(**{"2": 1.0})
    with pytest.raises(ValueError, match=r"must be numbers, got a \w+ in some cells"):
        fit(frame.rename(columns=str))


def test_the_advice_on_nested_frames_runs():
    X = random(3, 2, 5)
    frame = pd.DataFrame({c: [pd.Series(row) for row in X[:, c]] for c in range(2)})
    advised = np.stack([np.stack(column) for column in np.asarray(frame).T], axis=1)
    np.testing.assert_array_equal(advised, X)


def test_an_array_of_arrays():
    with pytest.raises(ValueError, match=r"np\.stack\(X\)"):
        fit(cells(LONG, LONG))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_tensors_are_series(dtype):
    x = torch.tensor(random(4, 9), dtype=dtype, requires_grad=True)
    expected = x.detach().float() if dtype == torch.bfloat16 else x.detach()
    fitted = fit(x)
    for given in (x, list(x), [list(row) for row in x]):
        result = fitted.transform(given)
        np.testing.assert_allclose(result, fitted.transform(expected.numpy()))
    np.testing.assert_array_equal(check_series(x, "X")[:, 0], expected.numpy())


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
def test_tensors_on_the_device_are_series():
    x = torch.ones(4, 9, device="cuda", requires_grad=True)
    assert fit(x).n_timepoints_ == 9


@pytest.mark.parametrize("missing", [None, np.nan, pd.NA, pd.NaT])
def test_missing_labels(missing):
    y = np.array(["a", missing, "a", "b"], dtype=object)
    for call in (
        class_indices,
        lambda y: tiny_fcn().fit(X4, y),
        lambda y: tiny_sampler().fit(np.zeros((4, 5), dtype=int), y),
    ):
        with pytest.raises(ValueError, match=r"Input y contains NaN") as caught:
            call(y)
        assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize("value", [True, False, 0, -1, 2.0, "2", None])
def test_counts_are_ints(value):
    with pytest.raises(ValueError, match="n_samples must be an int of at least 1"):
        check_positive_int(value, "n_samples")


def test_true_is_no_number_of_samples():
    sampler = tiny_sampler(max_epochs=0).fit(np.zeros((4, 5), dtype=int))
    with pytest.raises(ValueError, match="n_samples must be an int"):
        sampler.sample(True)


# ------------------------------------------------------------- one channel, both ways


@pytest.mark.parametrize("with_axis", [False, True])
def test_one_channel_may_have_an_axis_or_not(with_axis):
    flat, _ = waves()
    deep = flat[:, None]
    fitted, given = (deep, flat) if with_axis else (flat, deep)
    tokenizer = tiny_tokenizer(max_epochs=1).fit(fitted)
    for method in (tokenizer.transform, tokenizer.encode, tokenizer.reconstruct):
        np.testing.assert_array_equal(method(given), method(fitted))
    assert tokenizer.reconstruct(given).shape == fitted.shape


@pytest.mark.parametrize("with_axis", [False, True])
def test_gaps_and_beginnings_of_one_channel(with_axis):
    flat, _ = waves()
    deep = flat[:, None]
    fitted, given = (deep, flat) if with_axis else (flat, deep)
    mask = np.zeros(given.shape, dtype=bool)
    mask[..., 10:20] = True
    tokenizer = tiny_tokenizer(max_epochs=0)
    sampler = tiny_sampler(tokenizer, max_epochs=0).fit(fitted)
    expected = sampler.impute(fitted, mask.reshape(fitted.shape))
    np.testing.assert_array_equal(sampler.impute(given, mask), expected)
    np.testing.assert_array_equal(
        sampler.impute(np.where(mask, np.nan, given)), expected
    )
    sampler = tiny_autoregressive(tokenizer, max_epochs=0).fit(fitted)
    np.testing.assert_array_equal(
        sampler.extend(given[..., :20]), sampler.extend(fitted[..., :20])
    )


def test_another_length_is_an_error_all_the_same():
    with pytest.raises(ValueError, match=r"X has 49 features.* is expecting 50"):
        fit(random(5, 50)).transform(random(5, 1, 49))
    with pytest.raises(ValueError, match=r"samples of shape \(1, 49\).*\(1, 50\)"):
        fit(random(5, 1, 50)).transform(random(5, 49))


def test_frames_after_a_fit_on_arrays_with_an_axis():
    fitted = fit(random(5, 1, 9))
    X = random(4, 9, seed=1)
    np.testing.assert_array_equal(
        fitted.transform(pd.DataFrame(X)), fitted.transform(X[:, None])
    )


# ---------------------------------------------------------------------------- readings


@pytest.mark.parametrize("tokens", [[[0, 65_536]], [[0, 1, 2, 401]], [[0.0, 3e8]]])
def test_integers_too_large_for_tokens_look_like_readings(tokens):
    tokens = np.array(tokens)
    with pytest.raises(ValueError, match=r"look like readings.*give n_codes"):
        validate_tokens(tokens, None, None)
    with pytest.raises(ValueError, match="look like readings"):
        tiny_sampler().fit(tokens)
    given = validate_tokens(tokens, None, int(tokens.max()) + 1)
    np.testing.assert_array_equal(given, tokens)


def test_tokens_of_large_codebooks_pass():
    tokens = np.full((2, 400), 65_535)
    assert validate_tokens(tokens, None, None).max() == 65_535
    assert validate_tokens([[0, 200]], None, None).max() == 200


@pytest.mark.parametrize("value", [1e300, 2.0**64, np.iinfo(np.uint64).max])
def test_integers_that_no_token_can_be(value):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(ValueError, match="look like readings"):
            validate_tokens(np.array([[value]]), None, None)
        with pytest.raises(ValueError, match=r"Tokens must lie in \[0, 8\)"):
            validate_tokens(np.array([[value]]), None, 8)


def test_shape_is_set_at_fit_only():
    estimator = STFTTransformer()
    validate_series(estimator, np.ones((3, 1, 5)), reset=True)
    assert validate_series(estimator, np.ones((3, 5)), reset=False).shape == (3, 1, 5)
    assert estimator.sample_shape_ == (1, 5)
