"""Any input gives a right result or an error that says what was expected."""

import numpy as np
import pandas as pd
import pytest
from estimators import (
    tiny_autoregressive,
    tiny_classifier,
    tiny_encoder,
    tiny_fcn,
    tiny_sampler,
    tiny_tokenizer,
    tiny_vae,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from sklearn.utils import get_tags

from sktsrep import STFTTransformer

SHORT = {"max_epochs": 1}
ESTIMATORS = {
    "stft": STFTTransformer(device="cpu"),
    "encoder": tiny_encoder(**SHORT),
    "tokenizer": tiny_tokenizer(**SHORT),
    "vae": tiny_vae(**SHORT),
    "fcn": tiny_fcn(**SHORT),
    "classifier": tiny_classifier(tiny_encoder(**SHORT), **SHORT),
    "sampler": tiny_sampler(tiny_tokenizer(**SHORT), **SHORT),
    "autoregressive": tiny_autoregressive(tiny_tokenizer(**SHORT), **SHORT),
}
METHODS = ("transform", "predict_proba", "score_samples", "reconstruct", "impute")

shapes = npst.array_shapes(min_dims=2, max_dims=3, min_side=1, max_side=9)
usual = st.floats(-100, 100, width=32)
extreme = st.sampled_from([0.0, 1e-30, -1e-9, 1e6, -1e20, 1e38])
broken = st.sampled_from([np.nan, np.inf, -np.inf])


def series(values):
    return npst.arrays(np.float64, shapes, elements=values)


def containers(X):
    """Ways of giving an array of two axes or three."""
    yield X
    yield X.tolist()
    yield np.asfortranarray(X)
    yield X.astype(object)
    if X.ndim == 2:
        yield pd.DataFrame(X)


def results(estimator, X):
    """All that a fitted estimator makes of series."""
    for name in METHODS:
        if hasattr(estimator, name):
            yield getattr(estimator, name)(X)
    if hasattr(estimator, "sample"):
        yield estimator.sample(2)


@pytest.mark.filterwarnings("ignore:.*(more than 100 times|seem to be|n_channels)")
@pytest.mark.parametrize("name", ESTIMATORS)
@settings(max_examples=8)
@given(X=series(usual | extreme), which=st.integers(0, 4))
def test_finite_series_give_finite_results(name, X, which):
    ways = list(containers(X))
    given_X, y = ways[which % len(ways)], np.arange(len(X)) % 2
    estimator = ESTIMATORS[name].fit(given_X, y)
    for result in results(estimator, given_X):
        assert len(result) in (2, len(X))
        assert np.isfinite(np.asarray(result, dtype=float)).all()


def takes_gaps(name):
    return get_tags(ESTIMATORS[name]).input_tags.allow_nan


def fit_with_gap(estimator, X):
    y = np.arange(len(X)) % 2
    is_empty = np.isnan(X).reshape(len(X), -1).all(axis=1)
    if is_empty.any():
        with pytest.raises(ValueError, match="no observed value in row"):
            estimator.fit(X, y)
        return
    for result in results(estimator.fit(X, y), X):
        known = np.asarray(result, dtype=float)
        # Only after the end of a series, or where a value is missing; a spectrogram's
        # last frames have many values.
        n_most = len(X) * X[0].size if known.ndim < 4 else known.size / 2
        assert np.isnan(known).sum() <= n_most
        assert not np.isinf(known).any()


@pytest.mark.filterwarnings("ignore:.*(more than 100 times|seem to be|n_channels)")
@pytest.mark.parametrize("name", ESTIMATORS)
@settings(max_examples=8)
@given(X=series(usual), value=broken, place=st.integers(0, 10**6))
def test_broken_values_are_named(name, X, value, place):
    X.flat[place % X.size] = value
    if np.isnan(value) and takes_gaps(name):
        fit_with_gap(ESTIMATORS[name], X)
        return
    with pytest.raises(ValueError, match=r"X contains (NaN|infinity).* row "):
        ESTIMATORS[name].fit(X, np.arange(len(X)) % 2)


WRONG = {
    "number": 3,
    "text": "series",
    "none": None,
    "one axis": np.ones(5),
    "five axes": np.ones((2, 1, 1, 1, 3)),
    "no samples": np.ones((0, 5)),
    "no timepoints": np.ones((3, 0)),
    "words": [["a", "b"]],
    "ragged": [[1.0, 2.0], [1.0]],
    "nested": [[[1.0, 2.0], [1.0]]],
    "complex": np.ones((3, 4)) * 1j,
    "set": {1, 2},
    "dates": np.array([["2020-01-01", "2020-01-02"]], dtype="datetime64[D]"),
    "masked": np.ma.masked_equal(np.arange(6.0).reshape(2, 3), 2),
    "dictionary": {"a": [1, 2]},
}


@pytest.mark.parametrize("kind", WRONG)
@pytest.mark.parametrize("name", ESTIMATORS)
def test_wrong_kinds_of_input_are_refused(name, kind):
    if kind == "ragged" and takes_gaps(name):
        return
    with pytest.raises((ValueError, TypeError)) as caught:
        ESTIMATORS[name].fit(WRONG[kind], [0, 1])
    assert len(str(caught.value)) > 10
