"""
=====================
A map of the speakers
=====================

JapaneseVowels has 640 utterances of two vowels by nine men: 12 channels of 7 to 29
frames. An encoder learns from them without labels, and UMAP draws its embeddings in two
dimensions.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sktsrep import SSLEncoder
from sktsrep.datasets import load_ucr
from sktsrep.plotting import EmbeddingDisplay

X, y = load_ucr("JapaneseVowels")  # (640, 12, 29), NaN after the end of an utterance

# %%
# Columns of embeddings have unequal scales, so a ``StandardScaler`` follows.

embed = make_pipeline(SSLEncoder(max_epochs=20, random_state=0), StandardScaler())
embed.fit(X)

# %%
# Colors and markers were not known to the encoder or to UMAP. Most speakers have an
# island of their own; some islands touch. Distances between islands mean little. The
# numbers stand at the median of a speaker's utterances.

display = EmbeddingDisplay.from_estimator(embed, X, y, method="umap", random_state=0)
display.plot(size=12)
for speaker in np.unique(y):
    place = np.median(display.points[y == speaker], axis=0)
    outline = {"facecolor": "white", "edgecolor": "none", "alpha": 0.7, "pad": 1}
    display.ax_.text(*place, speaker, ha="center", va="center", bbox=outline)
plt.show()
