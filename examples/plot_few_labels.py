"""
==========
Few labels
==========

OSULeaf has 200 training and 242 test outlines of leaves of six kinds. An encoder learns
from the training part without labels; a linear classifier then gets one to eight labels
per kind.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.linear_model import RidgeClassifierCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sktsrep import SSLEncoder
from sktsrep.datasets import load_ucr

X_train, y_train = load_ucr("OSULeaf", "train")
X_test, y_test = load_ucr("OSULeaf", "test")
N_LABELS = [1, 2, 4, 8]
N_DRAWS = 10

# %%
# The untrained network is the floor: what its random convolutions give for free.

encoders = {
    "trained": SSLEncoder(max_epochs=40, random_state=0),
    "untrained": SSLEncoder(max_epochs=0, random_state=0),
}
features = {
    name: [encoder.fit(X_train).transform(X) for X in (X_train, X_test)]
    for name, encoder in encoders.items()
}
features["raw series"] = [X_train, X_test]

# %%
# Which series have a label is drawn ten times; lines are means, bands one standard
# deviation. Training helps at every number of labels. The network itself, even
# untrained, is worth more: on the raw series, the same classifier stays near 0.3.


def accuracies(train, test, n_labels):
    """Test accuracy for every draw of ``n_labels`` labels per class."""
    for seed in range(N_DRAWS):
        rng = np.random.default_rng(seed)
        rows = np.concatenate(
            [
                rng.choice(np.flatnonzero(y_train == label), n_labels, replace=False)
                for label in np.unique(y_train)
            ]
        )
        probe = make_pipeline(StandardScaler(), RidgeClassifierCV())
        yield probe.fit(train[rows], y_train[rows]).score(test, y_test)


figure, ax = plt.subplots(figsize=(6, 4), layout="constrained")
styles = {"trained": "o-", "untrained": "s--", "raw series": "^:"}
colors = {"trained": "#0072B2", "untrained": "#D55E00", "raw series": "#555555"}
for name, (train, test) in features.items():
    scores = np.array([list(accuracies(train, test, n)) for n in N_LABELS])
    mean, deviation = scores.mean(axis=1), scores.std(axis=1)
    print(f"{name:11}", mean.round(3))
    ax.plot(N_LABELS, mean, styles[name], color=colors[name], label=name)
    ax.fill_between(
        N_LABELS, mean - deviation, mean + deviation, color=colors[name], alpha=0.15
    )
ax.axhline(1 / 6, color="black", linewidth=0.8)
ax.text(N_LABELS[-1], 1 / 6 + 0.01, "chance", ha="right")
ax.set_xscale("log", base=2)
ax.set_xticks(N_LABELS, N_LABELS)
ax.set(xlabel="labels per class", ylabel="test accuracy", ylim=(0, 1))
ax.legend(loc="upper left")
plt.show()
