"""Missing stretches: lines, joints, tokens."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from sktsrep._gaps import closest, interpolate, join, places_of_times


def series_with_gaps(seed, n_timepoints):
    rng = np.random.default_rng(seed)
    X, filling = rng.normal(size=(2, 3, 2, n_timepoints))
    return X, rng.random(X.shape) < 0.5, filling


cases = {"seed": st.integers(0, 2**31 - 1), "n_timepoints": st.integers(1, 30)}
reaches = st.floats(1, 40)


@given(**cases, reach=reaches)
def test_what_is_known_stays(seed, n_timepoints, reach):
    X, mask, filling = series_with_gaps(seed, n_timepoints)
    hidden = np.where(mask, np.nan, X)
    for filled in (interpolate(hidden, mask), join(hidden, mask, filling, reach)):
        assert_array_equal(filled[~mask], X[~mask])
        assert np.isfinite(filled).all()


@given(**cases, reach=reaches)
def test_the_right_filling_is_left_as_it_is(seed, n_timepoints, reach):
    X, mask, _ = series_with_gaps(seed, n_timepoints)
    assert_allclose(join(X, mask, X, reach), X)


@given(**cases, reach=reaches, offset=st.floats(-9, 9))
def test_a_joint_is_no_further_than_what_the_filling_missed(
    seed, n_timepoints, reach, offset
):
    X, mask, _ = series_with_gaps(seed, n_timepoints)
    change = join(X, mask, X - offset, reach) - (X - offset)
    assert (np.abs(change) <= abs(offset) + 1e-9).all()


@given(offset=st.floats(-9, 9), n_missing=st.integers(1, 12))
def test_short_stretches_between_known_values_take_their_offset(offset, n_missing):
    X = np.random.default_rng(0).normal(size=(1, n_missing + 2))
    mask = np.ones(X.shape, dtype=bool)
    mask[:, [0, -1]] = False
    assert_allclose(join(X, mask, X - offset, reach=20), X, atol=1e-9)


def test_far_from_its_ends_a_stretch_is_the_filling():
    X, filling = np.zeros((1, 40)), np.ones((1, 40))
    mask = np.ones(X.shape, dtype=bool)
    mask[:, :5] = False
    joined = join(X, mask, filling, reach=10)[0]
    assert (joined[14:] == 1).all()
    assert_allclose(joined[4:15], np.linspace(0, 1, 11))


def test_nothing_known_is_all_filling():
    X, filling = np.full((2, 6), np.nan), np.arange(12.0).reshape(2, 6)
    assert_array_equal(join(X, np.ones(X.shape, dtype=bool), filling, 3), filling)
    assert_array_equal(interpolate(X, np.ones(X.shape, dtype=bool)), np.zeros((2, 6)))


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
