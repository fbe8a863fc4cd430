"""Missing stretches: lines, fillings, tokens."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from sktsrep._gaps import channel_levels, closest, interpolate, places_of_times


def series_with_gaps(seed, n_timepoints):
    rng = np.random.default_rng(seed)
    X, filling = rng.normal(size=(2, 3, 2, n_timepoints))
    return X, rng.random(X.shape) < 0.5, filling


cases = {"seed": st.integers(0, 2**31 - 1), "n_timepoints": st.integers(1, 30)}


@given(**cases)
def test_what_is_known_stays(seed, n_timepoints):
    X, mask, _ = series_with_gaps(seed, n_timepoints)
    filled = interpolate(np.where(mask, np.nan, X), mask)
    assert_array_equal(filled[~mask], X[~mask])
    assert np.isfinite(filled).all()


def test_nothing_known_is_zero():
    X = np.full((2, 6), np.nan)
    assert_array_equal(interpolate(X, np.ones(X.shape, dtype=bool)), np.zeros((2, 6)))


def test_levels_of_the_largest_numbers_are_finite():
    largest = np.finfo(np.float64).max
    X = np.array([[[largest] * 4, [np.nan, -1, -2, -3]]] * 3)
    mixed = X * np.array([1, -1, 1])[:, None, None]
    assert_allclose(channel_levels(X), [largest, -2])
    assert_allclose(channel_levels(mixed), [largest / 3, -2 / 3])


@given(n_timepoints=st.integers(1, 60), n_tokens=st.integers(1, 40), data=st.data())
def test_every_missing_value_has_a_token(n_timepoints, n_tokens, data):
    time = data.draw(st.integers(0, n_timepoints - 1))
    missing = np.arange(n_timepoints)[None] == time
    tokens = places_of_times(missing, n_tokens)
    assert tokens.shape == (1, n_tokens)
    assert tokens.any()
    assert not places_of_times(~missing & False, n_tokens).any()


@given(**cases, place=st.integers(0, 3))
def test_the_right_filling_is_the_closest(seed, n_timepoints, place):
    X, mask, _ = series_with_gaps(seed, n_timepoints)
    rng = np.random.default_rng(seed)
    fillings = X + rng.uniform(0.5, 1, size=(4, *X.shape))
    fillings[place] = np.where(mask, fillings[place], X)
    chosen = closest(X, mask, fillings)
    told = ~mask.all(axis=(1, 2))  # of the others nothing is known
    assert_array_equal(chosen[told], fillings[place][told])


@given(**cases, factor=st.floats(1e-3, 1e3))
def test_units_of_channels_choose_no_filling(seed, n_timepoints, factor):
    X, mask, _ = series_with_gaps(seed, n_timepoints)
    fillings = X + np.random.default_rng(seed).normal(size=(3, *X.shape))
    unit = np.array([[1.0], [factor]])
    chosen = closest(unit * X, mask, unit * fillings)
    assert_allclose(chosen, unit * closest(X, mask, fillings))
