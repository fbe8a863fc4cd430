"""
=======================
Self-supervised methods
=======================

One data set, one encoder, five objectives. Every series has two steps, up or down, at
random places in noise; the class is their order. No encoder sees a label. Each title
gives the accuracy of 5 nearest neighbors on the embeddings of held-out series; the
untrained network is the floor, and chance is 0.25.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.manifold import TSNE
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sktsrep import SSLEncoder
from sktsrep.objectives import OBJECTIVES

rng = np.random.default_rng(0)


def two_patterns(n_samples, n_timepoints=128, width=24):
    """Draw series with two steps each, and the directions of the steps in order."""
    X = 0.3 * rng.normal(size=(n_samples, n_timepoints))
    up = rng.random((n_samples, 2)) < 0.5
    step = np.repeat([-1.0, 1.0], width // 2)
    half = n_timepoints // 2
    for row, directions in zip(X, up, strict=True):
        for place, rises in enumerate(directions):
            start = half * place + rng.integers(half - width)
            row[start : start + width] += step if rises else -step
    names = np.array(["down", "up"])[up.astype(int)]
    return X, np.char.add(np.char.add(names[:, 0], ", "), names[:, 1])


X_train, y_train = two_patterns(250)
X_test, y_test = two_patterns(250)

# The default views are shifts in time. They fill the gap with a reflection, which mixes
# up the order of the steps; crops keep it. A window twice as long as the default lets
# the encoder see both steps at once.
settings = {"n_fft": 16, "augmentations": "crop", "random_state": 0}
encoders = {"untrained": SSLEncoder(max_epochs=0, **settings)}
encoders |= {name: SSLEncoder(name, max_epochs=20, **settings) for name in OBJECTIVES}

# %%
# t-SNE of the embeddings of held-out series. The untrained network mixes "up, down"
# with "down, up"; each of the five objectives tells them apart.

figure, axes = plt.subplots(2, 3, figsize=(9, 6.4), layout="constrained")
styles = list(zip(["#0072B2", "#E69F00", "#009E73", "#CC79A7"], "o^sD", strict=True))
for ax, (name, encoder) in zip(axes.flat, encoders.items(), strict=True):
    embed = make_pipeline(encoder, StandardScaler()).fit(X_train)
    train, test = embed.transform(X_train), embed.transform(X_test)
    score = KNeighborsClassifier(5).fit(train, y_train).score(test, y_test)
    print(f"{name:14} 5-NN accuracy {score:.3f}")
    points = TSNE(random_state=0).fit_transform(test)
    for label, (color, marker) in zip(sorted(set(y_test)), styles, strict=True):
        x, y = points[y_test == label].T
        ax.scatter(x, y, s=22, color=color, marker=marker, label=label)
    ax.set_title(f"{name}: 5-NN {score:.2f}")
    ax.set_xticks([])
    ax.set_yticks([])
handles, labels = axes[0, 0].get_legend_handles_labels()
figure.legend(handles, labels, title="steps", ncols=4, loc="outside lower center")
plt.show()
