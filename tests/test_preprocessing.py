"""STFTTransformer: equality with torch and scipy, exact inverse, output formats."""

import numpy as np
import pytest
import torch
from estimators import waves
from hypothesis import given
from hypothesis import strategies as st
from scipy.signal import ShortTimeFFT, get_window
from sklearn.exceptions import NotFittedError

from sktsrep import STFTTransformer


@given(
    n_fft=st.integers(4, 20),
    data=st.data(),
    n_channels=st.integers(1, 3),
    n_timepoints=st.integers(1, 90),
)
def test_inverse_is_exact(n_fft, data, n_channels, n_timepoints):
    hop_length = data.draw(st.integers(1, n_fft // 2))
    X = np.random.default_rng(0).normal(size=(2, n_channels, n_timepoints))
    transformer = STFTTransformer(n_fft, hop_length=hop_length, device="cpu").fit(X)
    restored = transformer.inverse_transform(transformer.transform(X))
    np.testing.assert_allclose(restored, X, atol=1e-9)


@pytest.mark.parametrize("hop_length", range(1, 16))
def test_every_overlapping_hop(hop_length):
    X = np.random.default_rng(0).normal(size=(2, 37))
    transformer = STFTTransformer(16, hop_length=hop_length, device="cpu").fit(X)
    restored = transformer.inverse_transform(transformer.transform(X))
    np.testing.assert_allclose(restored, X, atol=1e-9)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_same_as_torch(dtype):
    X, _ = waves(n_timepoints=64, dtype=dtype)
    ours = STFTTransformer(16, hop_length=4, device="cpu").fit_transform(X)
    x = torch.tensor(X)
    window = torch.hann_window(16, dtype=x.dtype)
    theirs = torch.stft(
        x, 16, 4, window=window, pad_mode="constant", return_complex=True
    )
    tolerance = 20 * np.finfo(dtype).eps
    np.testing.assert_allclose(
        ours[:, 0] + 1j * ours[:, 1], theirs.numpy(), atol=tolerance
    )


def test_same_as_scipy():
    X, _ = waves(n_timepoints=64)
    ours = STFTTransformer(16, hop_length=4, device="cpu").fit_transform(X)
    transform = ShortTimeFFT(get_window("hann", 16), hop=4, fs=1, phase_shift=None)
    # scipy's frame p is centered on timepoint p * hop, as ours is.
    theirs = transform.stft(X, p0=0, p1=17)
    np.testing.assert_allclose(ours[:, 0] + 1j * ours[:, 1], theirs, atol=1e-12)


def test_magnitudes():
    X, _ = waves(n_channels=2)
    real, imaginary = np.split(
        STFTTransformer(device="cpu").fit_transform(X), 2, axis=1
    )
    magnitude = STFTTransformer(output="magnitude", device="cpu")
    np.testing.assert_allclose(magnitude.fit_transform(X), np.hypot(real, imaginary))
    logarithm = STFTTransformer(output="log_magnitude", device="cpu").fit_transform(X)
    np.testing.assert_allclose(logarithm, np.log1p(magnitude.transform(X)))
    assert not hasattr(magnitude, "inverse_transform")


def test_flat_output_has_names_and_an_inverse():
    X, _ = waves(n_channels=2, n_timepoints=20)
    transformer = STFTTransformer(flatten=True, device="cpu")
    flat = transformer.set_output(transform="pandas").fit_transform(X)
    assert list(flat.columns[:2]) == ["real_c0_f0_t0", "real_c0_f0_t1"]
    deep = STFTTransformer(device="cpu").fit_transform(X)
    np.testing.assert_array_equal(flat["imag_c1_f3_t2"], deep[:, 3, 3, 2])
    np.testing.assert_allclose(transformer.inverse_transform(flat), X, atol=1e-9)


@pytest.mark.parametrize("hop_length", [8, 9])
def test_frames_must_overlap(hop_length):
    with pytest.raises(ValueError, match="hop_length must be less than n_fft=8"):
        STFTTransformer(8, hop_length=hop_length).fit(np.ones((2, 20)))


def test_a_fit_that_fails_leaves_the_last_one():
    X, _ = waves()
    transformer = STFTTransformer(device="cpu")
    with pytest.raises(ValueError, match="dim 4"):
        transformer.fit(np.ones((2, 2, 5, 7)))
    with pytest.raises(NotFittedError):
        transformer.transform(X)
    spectrogram = transformer.fit(X).transform(X)
    with pytest.raises(ValueError, match="dim 4"):
        transformer.fit(np.ones((2, 2, 5, 7)))
    np.testing.assert_array_equal(transformer.transform(X), spectrogram)


def test_parameters_of_the_next_fit_do_not_touch_the_last():
    X, _ = waves()
    transformer = STFTTransformer(device="cpu").fit(X)
    spectrogram = transformer.transform(X)
    transformer.set_params(n_fft=16, hop_length=3, window="boxcar")
    np.testing.assert_array_equal(transformer.transform(X), spectrogram)


def test_inverse_of_another_shape():
    transformer = STFTTransformer(device="cpu").fit(np.ones((2, 20)))
    with pytest.raises(ValueError, match="expecting spectrograms of shape"):
        transformer.inverse_transform(np.ones((2, 2, 5, 7)))
