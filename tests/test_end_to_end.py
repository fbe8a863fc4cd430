"""The main job on real data: probe, cross-validation, samples."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import LeaveOneOut, cross_val_predict
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sktsrep import MaskGITSampler, SSLVQTokenizer, STFTTransformer

SEEDED = {"device": "cpu", "random_state": 0}
SMALL = {"hidden_dim": 32, "max_epochs": 150, "lr": 2e-3, **SEEDED}
SMALL_PRIOR = {"hidden_dim": 64, "n_layers": 2, **SEEDED}

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def italy_power_demand():
    datasets = pytest.importorskip("aeon.datasets")
    parts = [
        datasets.load_italy_power_demand(split=split, return_type="numpy2d")
        for split in ("train", "test")
    ]
    return parts[0] + parts[1]


def test_probe_on_real_data(italy_power_demand):
    X_train, y_train, X_test, y_test = italy_power_demand
    pipe = make_pipeline(
        STFTTransformer(device="cpu"),
        SSLVQTokenizer(**SMALL),
        StandardScaler(),
        LogisticRegression(max_iter=1000),
    )
    assert pipe.fit(X_train, y_train).score(X_test, y_test) > 0.93


def two_sample_accuracy(real, sampled):
    """Leave-one-out accuracy of a 1-NN that tells real series from sampled ones."""
    X = np.concatenate([real, sampled])
    y = np.repeat([0, 1], [len(real), len(sampled)])
    predicted = cross_val_predict(KNeighborsClassifier(1), X, y, cv=LeaveOneOut())
    return (predicted == y).mean()


def test_samples_of_real_data(italy_power_demand):
    X_train, y_train, X_test, y_test = italy_power_demand
    sampler = MaskGITSampler(
        SSLVQTokenizer(**SMALL), max_epochs=600, lr=2e-3, **SMALL_PRIOR
    )
    sampler.fit(X_train, y_train)
    sampled = sampler.sample(100)
    assert two_sample_accuracy(X_test[:100], sampled) < 0.9
    noise = np.random.default_rng(0).normal(size=sampled.shape)
    assert two_sample_accuracy(X_test[:100], noise) > 0.95  # the test can fail
    y_new = np.repeat(sampler.classes_, 50)
    X_new = sampler.sample(100, y=y_new)
    assert KNeighborsClassifier(1).fit(X_new, y_new).score(X_test, y_test) > 0.85
