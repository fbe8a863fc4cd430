"""scikit-learn's own checks, and its conventions beyond them, for every estimator."""

import pytest
from sklearn.utils.estimator_checks import parametrize_with_checks

from sktsrep import MaskGITSampler, SSLVQTokenizer, STFTTransformer

TINY_TRAINING = {"max_epochs": 2, "batch_size": 16, "device": "cpu"}
TINY_BACKBONE = {"hidden_dim": 8, "n_blocks": 1, "max_tokens": 8, **TINY_TRAINING}


def tiny_tokenizer(**params):
    return SSLVQTokenizer(**{"n_codes": 8, "code_dim": 4, **TINY_BACKBONE, **params})


def tiny_sampler(tokenizer=None, **params):
    small = {"hidden_dim": 8, "n_layers": 1, "n_heads": 2, "n_steps": 3}
    return MaskGITSampler(tokenizer, **{**small, **TINY_TRAINING, **params})


ESTIMATORS = [
    STFTTransformer(device="cpu"),
    STFTTransformer(device="cpu", flatten=True),
    tiny_tokenizer(),
    tiny_tokenizer(ssl=None, output="codes"),
    tiny_sampler(tiny_tokenizer()),
]


@parametrize_with_checks(ESTIMATORS)
def test_scikit_learn_checks(estimator, check):
    check(estimator)
