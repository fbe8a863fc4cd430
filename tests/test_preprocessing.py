"""STFTTransformer: equality with torch and scipy, exact inverse, output formats."""

import numpy as np
import pytest
import torch
from estimators import waves
from hypothesis import given, settings
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


def cut(seed, n_channels=None, longest=40):
    """Waves, each cut to a length of its own; the first one is whole."""
    rng = np.random.default_rng(seed)
    lengths = [longest, *rng.integers(1, longest + 1, size=5)]
    X, _ = waves(6, longest, n_channels, seed=seed)
    return [x[..., :n] for x, n in zip(X, lengths, strict=True)]


@settings(max_examples=30)
@given(
    seed=st.integers(0, 10**6),
    n_channels=st.sampled_from([None, 2]),
    n_more=st.integers(0, 20),
    output=st.sampled_from(["real_imag", "log_magnitude"]),
)
def test_a_series_has_the_frames_that_it_has_alone(seed, n_channels, n_more, output):
    series = cut(seed, n_channels)
    transformer = STFTTransformer(output=output, device="cpu").fit(series)
    spectrograms = transformer.transform(series)
    assert spectrograms.shape == (6, *transformer.spectrogram_shape_)
    frames = transformer.n_fft_, transformer.hop_length_
    for x, spectrogram in zip(series, spectrograms, strict=True):
        own = STFTTransformer(frames[0], hop_length=frames[1], device="cpu")
        (alone,) = own.set_params(output=output).fit_transform(x[None])
        n_frames = alone.shape[-1]
        np.testing.assert_allclose(spectrogram[..., :n_frames], alone, atol=1e-12)
        assert np.isnan(spectrogram[..., n_frames:]).all()
        np.testing.assert_array_equal(transformer.transform([x])[0], spectrogram)
    padding = np.full((*series[0].shape[:-1], n_more), np.nan)
    more = [np.concatenate([x, padding], axis=-1) for x in series]
    np.testing.assert_array_equal(transformer.transform(more), spectrograms)


@pytest.mark.parametrize("flatten", [False, True])
@pytest.mark.parametrize("n_channels", [None, 2])
def test_the_inverse_ends_with_the_last_frame(n_channels, flatten):
    series = cut(0, n_channels)
    transformer = STFTTransformer(flatten=flatten, device="cpu").fit(series)
    restored = transformer.inverse_transform(transformer.transform(series))
    assert restored.shape == (6, *transformer.sample_shape_)
    hop_length = transformer.hop_length_
    for x, again in zip(series, restored, strict=True):
        n_timepoints = x.shape[-1]
        np.testing.assert_allclose(again[..., :n_timepoints], x, atol=1e-9)
        whole = -(-n_timepoints // hop_length) * hop_length
        held = again[..., n_timepoints:whole]
        np.testing.assert_allclose(held, x[..., -1:] + 0 * held, atol=1e-9)
        assert np.isnan(again[..., whole:]).all()


def test_gaps_are_bridged_by_lines():
    X, _ = waves(6, 40, 2)
    transformer = STFTTransformer(device="cpu").fit(X)
    filled, level = X.copy(), X[:, 1].mean()
    X[0, :, 3:6] = np.nan
    filled[0, :, 3:6] = np.linspace(X[0, :, 2], X[0, :, 6], 5, axis=1)[:, 1:-1]
    X[1, 1] = np.nan  # a channel that the series lacks
    filled[1, 1] = level
    np.testing.assert_allclose(
        transformer.transform(X), transformer.transform(filled), atol=1e-12
    )


def test_nan_that_is_refused():
    X, _ = waves(6, 40)
    transformer = STFTTransformer(device="cpu").fit(X)
    spectrograms = transformer.transform(X)
    spectrograms[2, 0, 1, -1] = np.nan
    with pytest.raises(ValueError, match="NaN before the last frame"):
        transformer.inverse_transform(spectrograms)
    with pytest.raises(ValueError, match="no observed value in row 0"):
        transformer.inverse_transform(np.full_like(spectrograms, np.nan))
    for apply in (transformer.fit, transformer.transform):
        with pytest.raises(ValueError, match="no observed value in row 3"):
            apply(np.where(X[3] == X, np.nan, X))
    with pytest.raises(ValueError, match="row 0, but STFTTransformer is expecting at"):
        transformer.transform([np.ones(41)])
    with pytest.raises(ValueError, match="expecting 40"):
        transformer.transform(np.ones((2, 39)))


def test_inverse_of_another_shape():
    transformer = STFTTransformer(device="cpu").fit(np.ones((2, 20)))
    with pytest.raises(ValueError, match="expecting spectrograms of shape"):
        transformer.inverse_transform(np.ones((2, 2, 5, 7)))
