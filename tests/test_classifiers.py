"""FineTunedClassifier: where it starts from, freezing, weights, labels."""

import pickle

import numpy as np
import pytest
import torch
from estimators import (
    needs_callbacks,
    tiny_classifier,
    tiny_encoder,
    tiny_tokenizer,
    tiny_vae,
    waves,
)
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_score

from sktsrep import FineTunedClassifier, SSLEncoder, STFTTransformer

MAKERS = [tiny_encoder, tiny_tokenizer, tiny_vae]


def weights(estimator):
    parameters = estimator.net_.module_.encoder.parameters()
    return torch.cat([p.detach().flatten() for p in parameters])


@pytest.mark.parametrize("make", MAKERS)
@pytest.mark.parametrize("state", ["unfitted", "fitted", "frozen"])
def test_starts_from_any_encoder_and_leaves_it_alone(make, state):
    X, y = waves()
    encoder = make() if state == "unfitted" else make().fit(X)
    before = pickle.dumps(encoder)
    given = FrozenEstimator(encoder) if state == "frozen" else encoder
    classifier = tiny_classifier(given, max_epochs=3).fit(X, y)
    assert pickle.dumps(encoder) == before
    assert not torch.equal(weights(classifier), weights(classifier.encoder_))


def test_only_a_frozen_encoder_is_used_as_it_is():
    X, y = waves()
    encoder = tiny_encoder().fit(3 * X[::-1] ** 2)  # other series than the classifier's
    frozen = tiny_classifier(FrozenEstimator(encoder), max_epochs=1).fit(X, y)
    assert torch.equal(weights(frozen.encoder_), weights(encoder))
    refitted = tiny_classifier(encoder, max_epochs=1).fit(X, y)
    assert torch.equal(weights(refitted.encoder_), weights(tiny_encoder().fit(X)))


def test_the_given_encoder_may_be_fitted_again():
    X, y = waves()
    encoder = tiny_encoder().fit(X)
    classifier = tiny_classifier(FrozenEstimator(encoder), max_epochs=3).fit(X, y)
    before = classifier.predict_proba(X)
    encoder.fit(100 * X + 7)
    np.testing.assert_array_equal(classifier.predict_proba(X), before)


def test_a_frozen_encoder_must_be_fitted():
    with pytest.raises(NotFittedError):
        tiny_classifier(FrozenEstimator(tiny_encoder())).fit(*waves())


def test_a_frozen_estimator_of_another_kind():
    X, y = waves()
    frozen = FrozenEstimator(LogisticRegression().fit(X, y))
    with pytest.raises(TypeError, match="FrozenEstimator of LogisticRegression"):
        tiny_classifier(frozen).fit(X, y)


def test_frozen_epochs_train_the_head_alone():
    X, y = waves()
    encoder = tiny_encoder().fit(X)
    given = FrozenEstimator(encoder)
    frozen = tiny_classifier(given, freeze_epochs=3, max_epochs=3).fit(X, y)
    assert torch.equal(weights(frozen), weights(encoder))
    thawed = tiny_classifier(given, freeze_epochs=2, max_epochs=3).fit(X, y)
    assert not torch.equal(weights(thawed), weights(encoder))


def test_the_backbone_learns_at_its_own_rate():
    X, y = waves()
    encoder = tiny_encoder().fit(X)
    given = FrozenEstimator(encoder)
    still = tiny_classifier(given, backbone_rate=0.0, weight_decay=0.0).fit(X, y)
    assert torch.equal(weights(still), weights(encoder))
    slow, fast = (
        weights(tiny_classifier(given, backbone_rate=rate, max_epochs=2).fit(X, y))
        for rate in (0.01, 1.0)
    )
    start = weights(encoder)
    assert (slow - start).norm() < (fast - start).norm() / 10


def test_string_labels_and_probabilities():
    X, y = waves()
    names = np.array(["slow", "fast"])[y]
    classifier = tiny_classifier().fit(X, names)
    assert list(classifier.classes_) == ["fast", "slow"]
    probabilities = classifier.predict_proba(X)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1)
    expected = classifier.classes_[probabilities.argmax(axis=1)]
    np.testing.assert_array_equal(classifier.predict(X), expected)


def test_class_weight_moves_the_border():
    X, y = waves()
    noisy = np.random.default_rng(0).permutation(y)  # nothing to learn but the prior
    shares = [
        (tiny_classifier(class_weight=weight, max_epochs=5).fit(X, noisy).predict(X))
        for weight in ({0: 20.0, 1: 1.0}, {0: 1.0, 1: 20.0})
    ]
    assert shares[0].mean() < 0.2
    assert shares[1].mean() > 0.8


def test_learns_with_cross_validation():
    X, y = waves(n_samples=90)
    frozen = FrozenEstimator(tiny_encoder().fit(X))
    assert cross_val_score(tiny_classifier(frozen), X, y, cv=3).mean() > 0.9


def test_spectrograms():
    X, y = waves()
    spectrogram = STFTTransformer(device="cpu").fit_transform(X)
    np.testing.assert_array_equal(
        tiny_classifier(max_epochs=2).fit(X, y).predict_proba(X),
        tiny_classifier(max_epochs=2).fit(spectrogram, y).predict_proba(spectrogram),
    )


def test_another_shape_than_the_encoders():
    X, y = waves()
    encoder = FrozenEstimator(tiny_encoder().fit(X[:, :40]))
    with pytest.raises(ValueError, match="encoder was fitted on samples of shape"):
        tiny_classifier(encoder).fit(X, y)


class TaskNames:
    """A scikit-learn callback that is told of inner estimators, too."""

    max_propagation_depth = None

    def __init__(self):
        self.seen = set()

    def setup(self, estimator, context):
        pass

    def teardown(self, estimator, context):
        pass

    def on_fit_task_begin(self, estimator, context):
        self.seen.add((type(estimator).__name__, context.task_name))

    def on_fit_task_end(self, estimator, context, **kwargs):
        return False


@needs_callbacks
def test_callbacks_see_the_pre_training():
    X, y = waves()
    names = TaskNames()
    tiny_classifier(max_epochs=2).set_callbacks(names).fit(X, y)
    assert {("SSLEncoder", "epoch"), ("FineTunedClassifier", "epoch")} <= names.seen


def test_the_default_encoder_is_on_the_classifiers_device(monkeypatch):
    devices, fit = [], SSLEncoder.fit

    def short_fit(encoder, X):
        devices.append(encoder.device)
        return fit(encoder.set_params(hidden_dim=8, max_epochs=1), X)

    monkeypatch.setattr(SSLEncoder, "fit", short_fit)
    FineTunedClassifier(max_epochs=1, device="cpu").fit(*waves())
    assert devices == ["cpu"]
