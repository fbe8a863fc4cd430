"""What estimators share: the scale of the data."""

import numpy as np
import pytest
import torch
from estimators import tiny_encoder
from hypothesis import given
from hypothesis import strategies as st

from sktsrep.base import shared_shape

SEEDS = st.integers(0, 2**31 - 1)


def series(seed, n_samples=20, n_channels=2, n_timepoints=30):
    generator = torch.Generator().manual_seed(seed)
    shape = (n_samples, n_channels, n_timepoints)
    return torch.randn(shape, generator=generator, dtype=torch.float64)


def variances(x):
    """Of the mean series in time, and of the series around it; by channel."""
    mean = x.mean(dim=0)
    return mean.var(dim=-1, correction=0), (x - mean).square().mean(dim=(0, 2))


@given(seed=SEEDS, height=st.floats(10, 1e6))
def test_a_shared_shape_is_left_with_ten_times_the_variance_around_it(seed, height):
    x = series(seed)
    shared, around = variances(x + height * x[0])
    left, still_around = variances(x + height * x[0] - shared_shape(x + height * x[0]))
    torch.testing.assert_close(still_around, around, rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(left, torch.minimum(shared, 10 * around))


@given(seed=SEEDS)
def test_series_that_share_little_only_lose_their_mean(seed):
    x = series(seed)
    mean = x.mean(dim=(0, 2)).unsqueeze(1).expand_as(x[0])
    torch.testing.assert_close(shared_shape(x), mean)


@given(seed=SEEDS, factor=st.floats(0.01, 100), offset=st.floats(-100, 100))
def test_shared_shape_has_the_units_of_the_data(seed, factor, offset):
    x = series(seed) + 20 * series(seed + 1)[0]
    expected = factor * shared_shape(x) + offset
    torch.testing.assert_close(shared_shape(factor * x + offset), expected)


@pytest.mark.parametrize("n_samples", [1, 2, 3])
def test_equal_series_share_everything(n_samples):
    x = series(0)[:1].repeat(n_samples, 1, 1)
    torch.testing.assert_close(shared_shape(x), x[0])
    constant = torch.full_like(x, 3.0)
    torch.testing.assert_close(shared_shape(constant), constant[0])


@pytest.mark.parametrize(
    ("fitted", "given"), [((9, 2, 30), (9, 30)), ((9, 30), (9, 1, 30))]
)
def test_axes_must_be_those_of_fit(fitted, given):
    encoder = tiny_encoder().fit(np.random.default_rng(0).normal(size=fitted))
    with pytest.raises(ValueError, match=r"X has shape .* expecting samples of shape"):
        encoder.transform(np.zeros(given))
