"""
======================
What is a model worth?
======================

Representations and samples of GunPoint (50 training and 150 test series of 150
timepoints, two classes), each beside its reference. Representations should beat a
majority vote, the raw series and an untrained network; samples should come close to
real series.
"""

import time
from pathlib import Path

import matplotlib

matplotlib.use("Agg")  # pictures go to files

from aeon.datasets import load_gunpoint
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sktsrep import MaskGITSampler, SSLEncoder, SSLVQTokenizer
from sktsrep.fcn import FCNClassifier
from sktsrep.metrics import (
    evaluate_representation,
    evaluate_samples,
    frechet_distance,
    mutual_information,
    perplexity,
)
from sktsrep.plotting import EmbeddingDisplay, SamplesDisplay

here = Path(__file__).parent if "__file__" in globals() else Path()
start = time.perf_counter()
X_train, y_train = load_gunpoint(split="train", return_type="numpy2d")
X_test, y_test = load_gunpoint(split="test", return_type="numpy2d")

# %%
# Representations
# ---------------
# In each fold, a new encoder is trained without labels; the probes then see the labels
# of the fold's training part. The folds split the test part, because the sampler below
# needs the 50 training series.

table = evaluate_representation(
    SSLEncoder(max_epochs=60, random_state=0), X_test, y_test, cv=3
)
print(table.round(3).to_string(index=False))

# %%
# Tokens
# ------
# How many codes are really in use, and how much a token tells about the class.

tokenizer = SSLVQTokenizer(max_epochs=300, random_state=0).fit(X_train)
tokens = tokenizer.encode(X_test)
print(f"\nperplexity of {len(tokenizer.codebook_)} codes: {perplexity(tokens):.1f}")
for correction in (None, "miller_madow"):
    bits = mutual_information(tokens, y_test, base=2, correction=correction)
    print(f"bits per token about the class, correction {correction}: {bits:.3f}")

# %%
# Samples
# -------
# The floor is the value of the training part in place of the generated series. Three
# metrics use the training part themselves; there it is the value of the test part.

sampler = MaskGITSampler(FrozenEstimator(tokenizer), random_state=0)
sampler.fit(X_train, y_train)
encoder = SSLEncoder(max_epochs=60, random_state=0).fit(X_train)
table = evaluate_samples(
    sampler, X_train, X_test, y_train, y_test, encoder=FrozenEstimator(encoder)
)
print("\n" + table.round(3).to_string(index=False))

# %%
# The published protocol takes the features of the Frechet distance from a supervised
# network, which is trained on the training part. The distance is larger for fewer
# series, and 50 are fewer than the 128 features. Compare it with its floor, not with
# published values for other numbers of series.

network = FCNClassifier(max_epochs=100, random_state=0).fit(X_train, y_train)
features = FrozenEstimator(network)
X_generated = sampler.sample(len(y_train), y=y_train, random_state=0)
distance = frechet_distance(X_test, X_generated, features=features, return_floor=True)
print(f"\nFCN, accuracy on the test part: {network.score(X_test, y_test):.3f}")
print(
    f"Frechet distance on its features: {distance.value:.1f}, floor "
    f"{distance.floor:.1f}, n = {distance.n}"
)

# %%
# Pictures
# --------
# Look behind the numbers: embeddings of both parts, and generated series beside real
# ones.

EmbeddingDisplay.from_estimator(
    make_pipeline(FrozenEstimator(encoder), StandardScaler()).fit(X_train),
    X_train,
    y_train,
    X_test=X_test,
    y_test=y_test,
    method="tsne",
    random_state=0,
).plot().figure_.savefig(here / "evaluate_embeddings.png", dpi=120)
SamplesDisplay.from_estimator(
    sampler, X_train, y_train, random_state=0
).plot().figure_.savefig(here / "evaluate_samples.png", dpi=120)
print(f"{time.perf_counter() - start:.0f} s; pictures: {here / 'evaluate_*.png'}")
