"""The transform against scipy's, and its inverse."""

import math

import numpy as np
import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from scipy.signal import ShortTimeFFT, check_NOLA, get_window
from tensors import normal
from torch.autograd import gradcheck

from sktsrep.functional import (
    istft,
    stft,
)


@st.composite
def windows(draw):
    """Draw ``n_fft``, ``hop_length`` and a Hann window with a stable inverse."""
    n_fft = draw(st.integers(2, 16))
    hop_length = draw(st.integers(1, n_fft - 1))
    window = get_window("hann", n_fft)
    assume(check_NOLA(window, n_fft, n_fft - hop_length, tol=1e-4))
    return n_fft, hop_length, torch.from_numpy(window)


@given(
    parameters=windows(), n_timepoints=st.integers(1, 80), channels=st.integers(1, 3)
)
def test_stft_round_trip_is_exact(parameters, n_timepoints, channels):
    x = normal(2, channels, n_timepoints)
    spectrogram = stft(x, *parameters)
    n_fft, hop_length, _ = parameters
    n_frames = 1 + math.ceil(n_timepoints / hop_length)
    assert spectrogram.shape == (2, channels, n_fft // 2 + 1, n_frames)
    assert_allclose(istft(spectrogram, *parameters, n_timepoints), x, atol=1e-9)


@given(parameters=windows(), n_hops=st.integers(1, 8))
def test_stft_of_whole_hops_is_that_of_torch_and_scipy(parameters, n_hops):
    n_fft, hop_length, window = parameters
    x = normal(2, 1, n_hops * hop_length)
    theirs = torch.stft(
        x[:, 0],
        n_fft,
        hop_length,
        window=window,
        pad_mode="constant",
        return_complex=True,
    )
    scipy = ShortTimeFFT(window.numpy(), hop_length, fs=1, phase_shift=None)
    frames = scipy.stft(np.pad(x, [(0, 0), (0, 0), (0, n_fft)]), p0=0, p1=n_hops + 1)
    ours = stft(x, *parameters)
    n_frames = theirs.shape[-1]  # torch omits the last one when n_fft is odd
    assert_allclose(ours[:, 0, :, :n_frames], theirs, atol=1e-12)
    assert_allclose(ours, frames, atol=1e-12)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_stft_keeps_the_precision(dtype):
    window = torch.hann_window(8, dtype=dtype)
    spectrogram = stft(normal(1, 1, 7, dtype=dtype), 8, 2, window)
    assert spectrogram.real.dtype == dtype
    assert istft(spectrogram, 8, 2, window, 7).dtype == dtype


def test_stft_gradient_by_finite_differences():
    window = torch.hann_window(4, dtype=torch.float64)
    x = normal(1, 1, 5).requires_grad_()
    assert gradcheck(lambda x: stft(x, 4, 2, window), x)
    assert gradcheck(
        lambda x: istft(stft(x, 4, 2, window).abs() + 0j, 4, 2, window, 5), x
    )
