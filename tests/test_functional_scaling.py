"""Offset and scale of series by channel."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from tensors import normal, seeds, small
from torch.testing import assert_close

from sktsrep.functional import channel_scale, outlying, shared_shape


def series(seed, n_samples=20, n_channels=2, n_timepoints=30):
    return normal(n_samples, n_channels, n_timepoints, seed=seed)


def channel_mean(x):
    return x.mean(dim=(0, 2)).unsqueeze(1)  # (n_channels, 1)


def variances(x):
    """Variance of the mean series over time, and of the series around it."""
    mean = x.mean(dim=0)
    return mean.var(dim=-1, correction=0), (x - mean).square().mean(dim=(0, 2))


# ------------------------------------------------------------------------- shared_shape


@given(seed=seeds, height=st.floats(10, 1e6))
def test_a_shared_shape_is_left_with_ten_times_the_variance_around_it(seed, height):
    x = series(seed)
    shared, around = variances(x + height * x[0])
    left, still_around = variances(x + height * x[0] - shared_shape(x + height * x[0]))
    assert_close(still_around, around, rtol=1e-6, atol=1e-6)
    assert_close(left, torch.minimum(shared, 10 * around))


@given(seed=seeds, limit=st.floats(0, 100))
def test_limit_of_the_shape_that_is_left(seed, limit):
    x = series(seed) + 1000 * series(seed + 1)[0]
    left, around = variances(x - shared_shape(x, limit))
    assert_close(left, limit * around, rtol=1e-6, atol=1e-6)


@given(seed=seeds)
def test_series_that_share_little_only_lose_their_mean(seed):
    x = series(seed)
    assert_close(shared_shape(x), channel_mean(x).expand_as(x[0]))


@given(seed=seeds, factor=st.floats(0.01, 100), offset=st.floats(-100, 100))
def test_shared_shape_has_the_units_of_the_data(seed, factor, offset):
    x = series(seed) + 20 * series(seed + 1)[0]
    expected = factor * shared_shape(x) + offset
    assert_close(shared_shape(factor * x + offset), expected)


@pytest.mark.parametrize("n_samples", [1, 2, 3])
def test_equal_series_share_everything(n_samples):
    x = series(0)[:1].repeat(n_samples, 1, 1)
    assert_close(shared_shape(x), x[0])
    constant = torch.full_like(x, 3.0)
    assert_close(shared_shape(constant), constant[0])


# ------------------------------------------------------------------------ channel_scale


@given(seed=seeds, n_samples=small, n_channels=small, n_timepoints=st.integers(2, 20))
def test_scale_around_the_mean_is_the_standard_deviation(
    seed, n_samples, n_channels, n_timepoints
):
    x = series(seed, n_samples, n_channels, n_timepoints)
    scale = channel_scale(x, channel_mean(x))
    assert scale.shape == (n_channels, 1)
    assert_allclose(scale[:, 0], x.numpy().std(axis=(0, 2)))


@given(seed=seeds)
def test_scale_around_a_shape_is_the_root_mean_square(seed):
    x, center = series(seed), series(seed + 1)[0]
    expected = ((x - center).numpy() ** 2).mean(axis=(0, 2)) ** 0.5
    assert_allclose(channel_scale(x, center)[:, 0], expected)


@given(seed=seeds, factor=st.floats(1e-6, 1e6))
def test_scale_has_the_units_of_the_data(seed, factor):
    x, center = series(seed), series(seed + 1)[0]
    scale = channel_scale(x, center)
    assert_close(channel_scale(factor * x, factor * center), factor * scale)
    assert_close(channel_scale(-factor * x, -factor * center), factor * scale)


@pytest.mark.parametrize("value", [0.0, 300.0, -1e6, 1 / 3])
@pytest.mark.parametrize(
    ("dtype", "center_dtype"),
    [
        (torch.float32, torch.float32),
        (torch.float32, torch.float64),
        (torch.float64, torch.float64),
    ],
)
@pytest.mark.parametrize("center_of", [channel_mean, shared_shape])
def test_scale_of_a_constant_channel_is_relative(value, dtype, center_dtype, center_of):
    x = series(0).to(dtype)
    x[:, 1] = value
    scale = channel_scale(x, center_of(x.to(center_dtype)))
    size = abs(value) if value else float(scale[0])
    # A constant of zero has the largest scale or center as its unit.
    assert 0.999e-3 * size <= scale[1] <= 3e-3 * size


def test_rounding_is_judged_by_the_precision_of_the_data():
    """A constant with the noise of float32 rounding, centered in float64."""
    x = 300 * (1 + 2.0**-24 * series(0).sign())
    center = channel_mean(x)
    assert_close(channel_scale(x.float(), center), torch.full((2, 1), 0.3).double())
    assert (channel_scale(x, center) < 1e-4).all()  # what float64 can tell apart


def test_constant_channels_of_any_unit():
    wave = torch.sin(torch.arange(40.0)).expand(5, 1, 40).double()
    x = torch.cat([wave, 3 + 0 * wave, 0 * wave], dim=1)
    for unit in (1e-9, 1.0, 1e9):
        scale = channel_scale(unit * x, channel_mean(unit * x)) / unit
        assert_close(scale[1:], torch.tensor([[3e-3], [3e-3]]).double())
    assert (channel_scale(0 * x, channel_mean(0 * x)) == 1).all()


def test_outlying_series():
    reach = torch.tensor([[1.0, 0.0], [2.0, 0.0], [99.0, 5.0], [1e3, 6.0], [1.0, 1e4]])
    expected = torch.tensor([[0, 0], [0, 0], [0, 0], [1, 0], [0, 1]]).bool()
    assert torch.equal(outlying(reach), expected)
    assert not outlying(torch.zeros(4, 1)).any()
    assert not outlying(torch.tensor([[1e30]])).any()  # nothing to compare with
