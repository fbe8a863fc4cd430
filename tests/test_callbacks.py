"""Fits where scikit-learn has no callbacks, as before 1.9."""

import runpy
import sys

import numpy as np
import pytest
from estimators import (
    tiny_classifier,
    tiny_encoder,
    tiny_sampler,
    tiny_tokenizer,
    waves,
)

from sktsrep import AnomalyDetector, _callbacks, _fit
from sktsrep._base import TorchEstimator

SHORT = {"max_epochs": 1}


@pytest.fixture
def stand_ins(monkeypatch):
    """The module as it is without ``sklearn.callback``."""
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "sklearn.callback", None)
        return runpy.run_path(_callbacks.__file__)


@pytest.mark.parametrize("kind", ["classifier", "detector"])
def test_stand_ins_change_no_fit(kind, stand_ins, monkeypatch):
    sampler = tiny_sampler(tiny_tokenizer(**SHORT), **SHORT)
    estimator = {
        "classifier": tiny_classifier(tiny_encoder(**SHORT), **SHORT),
        "detector": AnomalyDetector(sampler, random_state=0),
    }[kind]
    X, y = waves()
    expected = estimator.fit(X, y).predict(X)
    unwatched = stand_ins["CallbackSupportMixin"]._init_callback_context
    for owner in (TorchEstimator, AnomalyDetector):
        monkeypatch.setattr(owner, "_init_callback_context", unwatched)
    monkeypatch.setattr(_fit, "with_callbacks", stand_ins["with_callbacks"])
    np.testing.assert_array_equal(estimator.fit(X, y).predict(X), expected)


def test_there_is_nothing_to_set_then(stand_ins):
    assert not hasattr(stand_ins["CallbackSupportMixin"], "set_callbacks")
