"""
=========================
Series of unequal length
=========================

Utterances of nine speakers (JapaneseVowels, 12 channels) last 7 to 29 frames. NaN
stands after the end of a series, and nothing has to be cut or filled up. An encoder
learns from the 270 training utterances, and a classifier from their labels. How much of
a test utterance does it need?
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.linear_model import RidgeClassifierCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sktsrep import SSLEncoder
from sktsrep.datasets import load_ucr

X_train, y_train = load_ucr("JapaneseVowels", "train")  # (270, 12, 26)
X_test, y_test = load_ucr("JapaneseVowels", "test")
lengths = (~np.isnan(X_test[:, 0])).sum(axis=1)
SHARES = [0.3, 0.5, 0.7, 1.0]

# %%
# A list holds series of any length, also of others than those that ``fit`` saw. The
# untrained encoder is the floor; training helps where little of an utterance is kept.


def cut(X, share):
    """Keep the first part of every utterance."""
    kept = np.ceil(share * lengths).astype(int)
    return [x[:, :n] for x, n in zip(X, kept, strict=True)]


figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.6), layout="constrained")
left.hist(lengths, bins=np.arange(6.5, 30), color="0.5")
left.set(xlabel="length of a test utterance (frames)", ylabel="utterances")
for max_epochs, name, style, color in (
    (20, "trained", "o-", "#0072B2"),
    (0, "untrained", "s--", "#D55E00"),
):
    classifier = make_pipeline(
        SSLEncoder(max_epochs=max_epochs, random_state=0),
        StandardScaler(),
        RidgeClassifierCV(),
    ).fit(X_train, y_train)
    scores = [classifier.score(cut(X_test, share), y_test) for share in SHARES]
    print(f"{name:10}", np.round(scores, 3))
    right.plot(SHARES, scores, style, color=color, label=f"{name} encoder")
right.axhline(1 / 9, color="black", linewidth=0.8)
right.text(1, 1 / 9 + 0.02, "chance", ha="right")
right.set(xlabel="share of the utterance that is kept", ylabel="test accuracy")
right.set_ylim(0, 1.05)
right.legend(loc="center left")
plt.show()
