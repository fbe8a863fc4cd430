"""
=========================
Decoding, step by step
=========================

``MaskGITSampler`` starts with masked tokens only. In every step it guesses all of them
and settles the most certain ones, until none is masked.
"""

import matplotlib.pyplot as plt
from sklearn.frozen import FrozenEstimator

from sktsrep import MaskGITSampler, SSLVQTokenizer
from sktsrep.datasets import load_ucr
from sktsrep.plotting import DecodingDisplay
from sktsrep.quantizers import EMACodebook

X, y = load_ucr("GunPoint", "train")
tokenizer = SSLVQTokenizer(quantizer=EMACodebook(32), max_epochs=150, random_state=0)
tokenizer.fit(X)
sampler = MaskGITSampler(FrozenEstimator(tokenizer), max_epochs=200, random_state=0)
sampler.fit(X, y)

# %%
# Top: the tokens after every step. Below: the series after some steps, where gray
# stretches are still masked and the dashed line is a first guess. The last panel is the
# new series.

DecodingDisplay.from_estimator(
    sampler, y="1", random_state=0, sampling_rate=30, unit="height"
).plot()
plt.show()
