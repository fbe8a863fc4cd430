"""
======================
Series as spectrograms
======================

All encoders see the short-time Fourier transform of a series. ``STFTTransformer`` gives
it to pipelines of your own, and inverts it exactly.
"""

import matplotlib.pyplot as plt
import numpy as np

from sktsrep import STFTTransformer
from sktsrep.datasets import load_ucr
from sktsrep.plotting import SpectrogramDisplay

SAMPLING_RATE = 10  # BasicMotions: a smart watch, ten readings per second
X, y = load_ucr("BasicMotions", "test")
sample = np.flatnonzero(y == "running")[0]

# %%
# A running person's acceleration on the first axis, and its spectrogram with windows of
# 3.2 seconds. The brightest line, near 1.2 Hz, is the rhythm of the arm; the one above
# is at twice that frequency.

stft = STFTTransformer(n_fft=32, hop_length=4, output="log_magnitude").fit(X)
figure, axes = plt.subplots(
    2, 1, figsize=(6.4, 5), height_ratios=[1, 1.6], sharex=True, layout="constrained"
)
time = np.arange(X.shape[-1]) / SAMPLING_RATE
axes[0].plot(time, X[sample, 0], color="black")
axes[0].set_ylabel("acceleration, axis x")
SpectrogramDisplay.from_estimator(
    stft, X, sample=sample, sampling_rate=SAMPLING_RATE
).plot(axes[1])
plt.show()
