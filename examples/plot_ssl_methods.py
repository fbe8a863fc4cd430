"""
============================
Self-supervised methods
============================

One data set, one encoder, five objectives: embeddings of leaf outlines (OSULeaf, six
species, 200 training series of 427 timepoints) that never saw a label, by t-SNE. The
accuracy in each title is that of 5 nearest neighbours in the embedding of the test
part; the untrained network is the baseline to beat.
"""

from pathlib import Path

import matplotlib

matplotlib.use("Agg")  # pictures go to files

import matplotlib.pyplot as plt
from aeon.datasets import load_osuleaf
from sklearn.manifold import TSNE
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sktsrep import SSLEncoder
from sktsrep.objectives import OBJECTIVES

here = Path(__file__).parent if "__file__" in globals() else Path()
X_train, y_train = load_osuleaf(split="train", return_type="numpy2d")
X_test, y_test = load_osuleaf(split="test", return_type="numpy2d")

encoders = {"untrained": SSLEncoder(lr=1e-12, max_epochs=1, random_state=0)}
encoders |= {
    name: SSLEncoder(name, max_epochs=60, random_state=0) for name in OBJECTIVES
}

# %%
# Markers tell the species apart where colours do not.

figure, axes = plt.subplots(2, 3, figsize=(12, 8), layout="constrained")
markers = "os^Dv*"
for ax, (name, encoder) in zip(axes.flat, encoders.items(), strict=True):
    embed = make_pipeline(encoder, StandardScaler()).fit(X_train)
    train, test = embed.transform(X_train), embed.transform(X_test)
    score = KNeighborsClassifier(5).fit(train, y_train).score(test, y_test)
    print(f"{name:14} 5-NN accuracy {score:.3f}")
    points = TSNE(random_state=0).fit_transform(test)
    for label, marker in zip(sorted(set(y_test)), markers, strict=True):
        x, y = points[y_test == label].T
        ax.scatter(x, y, s=22, marker=marker, label=label, alpha=0.8)
    ax.set_title(f"{name}: 5-NN {score:.2f}")
    ax.set_xticks([])
    ax.set_yticks([])
axes[0, 0].legend(title="species", ncols=2, fontsize="small")
figure.savefig(here / "ssl_methods.png", dpi=100)
print(f"picture: {here / 'ssl_methods.png'}")
