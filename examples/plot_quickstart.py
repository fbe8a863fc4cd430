"""
==========
Quickstart
==========

GunPoint has 50 training and 150 test series of 150 timepoints: the height of a hand
that draws a gun (class 1) or only points (class 2). One tokenizer, trained without
labels, gives the embeddings for a classifier and the tokens for new series.
"""

import matplotlib.pyplot as plt
from sklearn.dummy import DummyClassifier
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import RidgeClassifierCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sktsrep import MaskGITSampler, SSLVQTokenizer
from sktsrep.datasets import load_ucr
from sktsrep.plotting import SamplesDisplay
from sktsrep.quantizers import EMACodebook

X_train, y_train = load_ucr("GunPoint", "train")
X_test, y_test = load_ucr("GunPoint", "test")

# %%
# Embeddings
# ----------
# The classifier on the embeddings is an ordinary pipeline. A majority vote, the raw
# series and an untrained network are the floors it should beat.

quantizer = EMACodebook(32)
tokenizer = SSLVQTokenizer(quantizer=quantizer, max_epochs=150, random_state=0)
tokenizer.fit(X_train)
untrained = SSLVQTokenizer(quantizer=quantizer, max_epochs=0, random_state=0)
classifiers = {
    "majority vote": DummyClassifier(),
    "raw series": make_pipeline(StandardScaler(), RidgeClassifierCV()),
    "untrained network": make_pipeline(
        untrained, StandardScaler(), RidgeClassifierCV()
    ),
    "embeddings": make_pipeline(
        FrozenEstimator(tokenizer), StandardScaler(), RidgeClassifierCV()
    ),
}
print(f"accuracy on {len(y_test)} test series")
for name, classifier in classifiers.items():
    score = classifier.fit(X_train, y_train).score(X_test, y_test)
    print(f"  {name:18} {score:.3f}")

# %%
# New series
# ----------
# In a ``FrozenEstimator``, the trained tokenizer is used as it is; otherwise the
# sampler would train a new one. Training is short here, so new series follow the two
# classes roughly.

sampler = MaskGITSampler(FrozenEstimator(tokenizer), max_epochs=300, random_state=0)
sampler.fit(X_train, y_train)
SamplesDisplay.from_estimator(
    sampler, X_train, y_train, random_state=0, sampling_rate=30, unit="height"
).plot()
plt.show()
