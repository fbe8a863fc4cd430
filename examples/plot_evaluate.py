"""
=========================
What is a model worth?
=========================

Representations and samples of GunPoint (50 training and 150 test series of 150
timepoints, two classes), each beside what it has to be better than: majority vote, the
raw series and an untrained network for representations; real series for samples.
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
# In every fold the encoder is trained anew, without labels; its probes then see the
# labels of the fold's training part. Test series are split here because the training
# part, 50 series, is left for the sampler.

table = evaluate_representation(
    SSLEncoder(max_epochs=60, random_state=0), X_test, y_test, cv=3
)
print(table.round(3).to_string(index=False))

# %%
# Tokens
# ------
# How many codes are really in use, and what they tell about the class.

tokenizer = SSLVQTokenizer(max_epochs=300, random_state=0).fit(X_train)
tokens = tokenizer.encode(X_test)
print(f"\nperplexity of {len(tokenizer.codebook_)} codes: {perplexity(tokens):.1f}")
for correction in (None, "miller_madow"):
    bits = mutual_information(tokens, y_test, base=2, correction=correction)
    print(f"bits a token has about the class, correction {correction}: {bits:.3f}")

# %%
# Samples
# -------
# The floor is what the real training part gets in the place of the samples.

sampler = MaskGITSampler(FrozenEstimator(tokenizer), max_epochs=300, random_state=0)
sampler.fit(X_train, y_train)
encoder = SSLEncoder(max_epochs=60, random_state=0).fit(X_train)
table = evaluate_samples(
    sampler, X_train, X_test, y_train, y_test, encoder=FrozenEstimator(encoder)
)
print("\n" + table.round(3).to_string(index=False))

# %%
# The Frechet distance of the published protocol stands on a supervised network, trained
# on the training part only. 50 series are fewer than its 128 features: read it beside
# the floor, not beside a table of figures at another number.

network = FCNClassifier(max_epochs=100, random_state=0).fit(X_train, y_train)
features = FrozenEstimator(network)
X_new = sampler.sample(len(y_train), y=y_train, random_state=0)
distance = frechet_distance(X_test, X_new, features=features, return_floor=True)
print(f"\nFCN, accuracy on the test part: {network.score(X_test, y_test):.3f}")
print(f"Frechet distance on its features: {distance}")

# %%
# Pictures
# --------
# The numbers want looking at: embeddings of the test part, and samples beside it.

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
