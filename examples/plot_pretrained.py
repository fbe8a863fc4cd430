"""
Embeddings without training
===========================

:class:`~sktsrep.PretrainedEncoder` was trained on the series of many archive sets,
without labels. It embeds series of any length at once: here the outlines of leaves of
six species, of which we look for those that are alike.
"""

# %%
# Five lines from series to a classifier. The official split has 200 outlines to learn
# from, and 242 others. The encoder has seen the first ones in its training, but never
# a label.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.linear_model import RidgeClassifierCV
from sklearn.neighbors import NearestNeighbors
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sktsrep import PretrainedEncoder
from sktsrep.datasets import load_ucr

X_train, y_train = load_ucr("OSULeaf", split="train")
X_test, y_test = load_ucr("OSULeaf", split="test")
embed = make_pipeline(PretrainedEncoder(), StandardScaler()).fit(X_train)
classifier = RidgeClassifierCV(np.logspace(-1, 5, 13))
classifier.fit(embed.transform(X_train), y_train)
accuracy = classifier.score(embed.transform(X_test), y_test)
print(f"{accuracy:.1%} of the other leaves are named rightly")

# %%
# The nearest neighbors of a leaf, among those that it was not learned from. Bold curves
# are what was asked for; neighbors of another species are dashed.

Z = embed.transform(X_test)
queries = [int(np.flatnonzero(y_test == label)[0]) for label in np.unique(y_test)]
search = NearestNeighbors(n_neighbors=5, metric="cosine").fit(Z)
_, neighbors = search.kneighbors(Z[queries])

fig, axes = plt.subplots(
    len(queries), 5, figsize=(9, 8), sharex=True, sharey=True, layout="constrained"
)
for row, query, found in zip(axes, queries, neighbors, strict=True):
    for ax, index in zip(row, found, strict=True):
        same = y_test[index] == y_test[query]
        ax.plot(
            X_test[index],
            color="C0" if index == query or same else "C1",
            linestyle="-" if same else "--",
            linewidth=2 if index == query else 1,
        )
        ax.set(xticks=[], yticks=[])
    row[0].set_ylabel(f"species {y_test[query]}")
axes[0, 0].set_title("asked for")
axes[0, 1].set_title("nearest")
axes[0, 4].set_title("fourth")
fig.supxlabel("along the outline")
plt.show()
