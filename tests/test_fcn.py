"""The supervised network of the published protocol."""

import numpy as np
import pytest
from estimators import tiny_fcn, waves
from sklearn.frozen import FrozenEstimator

from sktsrep.metrics import frechet_distance


def test_it_learns_and_repeats():
    X, y = waves(60)
    X_test, y_test = waves(40, seed=1)
    network = tiny_fcn().fit(X, y)
    assert network.score(X_test, y_test) > 0.9
    features = network.transform(X_test)
    assert features.shape == (40, 128)
    np.testing.assert_array_equal(features, tiny_fcn().fit(X, y).transform(X_test))
    np.testing.assert_array_equal(features[:1], network.transform(X_test[:1]))


def test_sizes_are_those_of_the_paper():
    module = tiny_fcn(max_epochs=1).fit(*waves(8, 20, n_channels=2)).net_.module_
    convolutions = [layer for layer in module.body if hasattr(layer, "kernel_size")]
    assert [layer.kernel_size for layer in convolutions] == [(8,), (5,), (3,)]
    assert [layer.out_channels for layer in convolutions] == [128, 256, 128]


@pytest.mark.parametrize("n_timepoints", [1, 2, 33])
def test_any_length(n_timepoints):
    X, y = waves(6, n_timepoints)
    assert np.isfinite(tiny_fcn(max_epochs=1).fit(X, y).transform(X)).all()


def test_spectrograms_are_refused():
    with pytest.raises(ValueError, match="dim 4"):
        tiny_fcn().fit(np.ones((4, 2, 3, 3)), [0, 1, 0, 1])


def test_features_of_a_frechet_distance():
    X, y = waves(60)
    X_test, _ = waves(40, seed=1)
    features = FrozenEstimator(tiny_fcn().fit(X, y))
    near = frechet_distance(X_test, X, features=features)
    assert near < frechet_distance(X_test, X[y == 0], features=features)
