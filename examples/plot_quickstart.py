"""
==========
Quickstart
==========

The main job on real data: embeddings without labels, a linear probe on them, its
cross-validation, and new series of each class. GunPoint has 50 training series of 150
timepoints and two classes: a hand draws a gun, or it only points.
"""

import time
from pathlib import Path

import matplotlib

matplotlib.use("Agg")  # pictures go to files

import matplotlib.pyplot as plt
from aeon.datasets import load_gunpoint
from sklearn.callback import ProgressBar
from sklearn.dummy import DummyClassifier
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegressionCV
from sklearn.model_selection import cross_val_score
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sktsrep import MaskGITSampler, SSLVQTokenizer, STFTTransformer

here = Path(__file__).parent if "__file__" in globals() else Path()
start = time.perf_counter()
X_train, y_train = load_gunpoint(split="train", return_type="numpy2d")
X_test, y_test = load_gunpoint(split="test", return_type="numpy2d")

# %%
# Representations
# ---------------
# The tokenizer sees no labels. The probe on its embeddings is an ordinary scikit-learn
# pipeline.


def linear_probe():
    classifier = LogisticRegressionCV(
        cv=3,
        l1_ratios=(0,),
        scoring="accuracy",
        max_iter=5000,
        use_legacy_attributes=False,
    )
    return make_pipeline(StandardScaler(), classifier)


tokenizer = SSLVQTokenizer(max_epochs=300, random_state=0)
tokenizer.set_callbacks(ProgressBar()).fit(X_train)
probe = linear_probe().fit(tokenizer.transform(X_train), y_train)

classifiers = {
    "majority vote": DummyClassifier(),
    "1-NN, Euclidean distance": KNeighborsClassifier(1),
    "logistic regression on the raw series": linear_probe(),
}
print(f"\n{'accuracy on the test part':40} n = {len(y_test)}")
for name, classifier in classifiers.items():
    score = classifier.fit(X_train, y_train).score(X_test, y_test)
    print(f"  {name:38} {score:.3f}")
score = probe.score(tokenizer.transform(X_test), y_test)
print(f"  {'logistic regression on embeddings':38} {score:.3f}")

# %%
# The same task, cross-validated on the training part: each fold trains its own
# tokenizer.

pipe = make_pipeline(
    STFTTransformer(), SSLVQTokenizer(max_epochs=100, random_state=0), linear_probe()
)
scores = cross_val_score(pipe, X_train, y_train, cv=3)
print(f"3-fold cross-validation on the training part: {scores.round(3)}")

# %%
# New series
# ----------
# In a FrozenEstimator, the trained tokenizer is used as it is; otherwise the sampler
# would train a new one.

sampler = MaskGITSampler(FrozenEstimator(tokenizer), random_state=0)
sampler.set_callbacks(ProgressBar()).fit(X_train, y_train)

labels = sampler.classes_
figure, axes = plt.subplots(
    len(labels), 2, figsize=(9, 6), sharex=True, sharey=True, layout="constrained"
)
for row, label in zip(axes, labels, strict=True):
    real = X_train[y_train == label]
    generated = sampler.sample(len(real), y=label, random_state=0)
    for ax, kind, series in zip(
        row, ("real", "generated"), (real, generated), strict=True
    ):
        ax.plot(series.T, color="C0" if kind == "real" else "C1", lw=0.8, alpha=0.6)
        ax.set_title(f"class {label}, {kind} (n = {len(series)})")
for ax in axes[-1]:
    ax.set_xlabel("timepoint")
figure.savefig(here / "quickstart_samples.png", dpi=120)

# %%
# Generated series are useful if a classifier trained only on them recognizes real ones.

y_generated = y_train.repeat(4)
X_generated = sampler.sample(len(y_generated), y=y_generated, random_state=1)
nearest = KNeighborsClassifier(1).fit(X_generated, y_generated)
score = nearest.score(X_test, y_test)
print(
    f"1-NN trained on {len(y_generated)} generated series: {score:.3f} on the test part"
)
print(
    f"{time.perf_counter() - start:.0f} s; picture: {here / 'quickstart_samples.png'}"
)
