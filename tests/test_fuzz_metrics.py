"""Metrics and displays on odd input: a finite result, or an error that helps."""

import re
from unittest import mock

import matplotlib
import numpy as np
import pandas as pd
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.decomposition import PCA
from sklearn.neighbors import KNeighborsClassifier

from sktsrep import metrics, plotting
from sktsrep.metrics import _recurrent_judge

matplotlib.use("Agg")

# ------------------------------------------------------------------------------- input


def ordinary(rng, n):
    return rng.normal(size=(n, 12))


def two_channels(rng, n):
    return rng.normal(size=(n, 2, 12))


def scaled(rng, n):
    return ordinary(rng, n) * 10.0 ** rng.integers(-320, 308)


def scaled_rows(rng, n):
    return ordinary(rng, n) * 10.0 ** rng.integers(-320, 308, size=(n, 1))


def scaled_values(rng, n):
    return ordinary(rng, n) * 10.0 ** rng.integers(-320, 308, size=(n, 12))


def largest(rng, n):
    return np.finfo(float).max * rng.choice([-1.0, 1.0], size=(n, 12))


def constant(rng, n):
    return np.full((n, 12), rng.choice([0.0, 0.1, 1e300, 5e-324]))


def far_from_zero(rng, n):
    return 1e9 + ordinary(rng, n)


def with_(value):
    def make(rng, n):
        X = ordinary(rng, n)
        X[rng.integers(n), 3] = value
        return X

    return make


def integers(rng, n):
    return rng.integers(-9, 9, size=(n, 12))


def booleans(rng, n):
    return rng.integers(2, size=(n, 12)).astype(bool)


def halves(rng, n):
    return ordinary(rng, n).astype(np.float16)


def objects(rng, n):
    return ordinary(rng, n).astype(object)


def objects_with_none(rng, n):
    return with_(None)(rng, 1).astype(object) if n == 1 else [[None] * 12] * n


def text(rng, n):
    return ordinary(rng, n).astype(str)


def dates(rng, n):
    return integers(rng, n).astype("datetime64[s]")


def complex_(rng, n):
    return ordinary(rng, n) * 1j


def unequal(rng, n):
    return [rng.normal(size=size) for size in range(9, 9 + n)]


def list_of_arrays(rng, n):
    return list(two_channels(rng, n))


def frame(rng, n):
    return pd.DataFrame(ordinary(rng, n))


def nested_frame(rng, n):
    return pd.DataFrame({"a": [pd.Series(x) for x in ordinary(rng, n)]})


def masked(rng, n):
    return np.ma.masked_greater(ordinary(rng, n), 0.5)


def tensor(rng, n):
    return torch.tensor(ordinary(rng, n), requires_grad=True)


def shaped(*shape):
    return lambda rng, n: rng.normal(size=shape)


KINDS = [
    ordinary,
    two_channels,
    scaled,
    scaled_rows,
    scaled_values,
    largest,
    constant,
    far_from_zero,
    with_(np.nan),
    with_(np.inf),
    with_(1e300),
    with_(1e-300),
    integers,
    booleans,
    halves,
    objects,
    objects_with_none,
    text,
    dates,
    complex_,
    unequal,
    list_of_arrays,
    frame,
    nested_frame,
    masked,
    tensor,
    shaped(),
    shaped(12),
    shaped(0, 12),
    shaped(6, 0),
    shaped(6, 2, 0),
    shaped(6, 0, 12),
    shaped(6, 1, 2, 6),
    shaped(6, 1),
    shaped(6, 2),
    lambda rng, n: None,
    lambda rng, n: 3,
    lambda rng, n: "abc",
    lambda rng, n: {"a": 1},
    lambda rng, n: [],
]


@st.composite
def inputs(draw):
    """Any input, more often an ordinary one."""
    kind = draw(st.sampled_from([*KINDS[:8] * 3, *KINDS]))
    n = draw(st.sampled_from([1, 2, 6, 12]))
    rng = np.random.default_rng(draw(st.integers(0, 10**6)))
    return kind(rng, n)


def labels_of(X):
    try:
        return np.arange(len(X)) % 2
    except TypeError:
        return [0, 1]


# ------------------------------------------------------------------------------- calls

KNOWN = np.random.default_rng(0).normal(size=(12, 12))
CLASSIFIER = KNeighborsClassifier(1).fit(KNOWN, np.arange(12) % 2)
FEW = metrics.RandomConvolutionFeatures(2)


def recurrent_score(X, Y):
    with mock.patch.object(_recurrent_judge, "_N_STEPS", 3):
        return metrics.discriminative_score(X, Y, protocol="timegan")


OF_TWO = {
    "frechet": lambda X, Y: metrics.frechet_distance(X, Y, features=FEW),
    "frechet, passthrough": lambda X, Y: metrics.frechet_distance(
        X, Y, features="passthrough", return_floor=True
    ),
    "frechet, extrapolated": lambda X, Y: metrics.frechet_distance(
        X, Y, features=FEW, extrapolate=True
    ),
    "context_fid": lambda X, Y: metrics.context_fid(X, Y, FEW),
    "mmd": lambda X, Y: metrics.mmd(X, Y, return_floor=True),
    "mmd, gamma": lambda X, Y: metrics.mmd(X, Y, 0.1, unbiased=True),
    "marginal": metrics.marginal_difference,
    "autocorrelation": metrics.autocorrelation_difference,
    "skewness": metrics.skewness_difference,
    "kurtosis": lambda X, Y: metrics.kurtosis_difference(X, Y, return_floor=True),
    "discriminative": lambda X, Y: metrics.discriminative_score(X, Y, cv=2),
    "discriminative, timegan": recurrent_score,
    "predictive": metrics.predictive_score,
    "correlational": metrics.correlational_score,
    "roughness": metrics.roughness_ratio,
    "memorization": lambda X, Y: metrics.memorization_ratio(KNOWN, X, Y),
    "memorization of train": lambda X, Y: metrics.memorization_ratio(X, KNOWN, Y),
    "alignment": metrics.alignment,
    "classification accuracy": lambda X, Y: metrics.classification_accuracy_score(
        X, labels_of(X), Y, labels_of(Y)
    ),
    "kl_divergence": metrics.kl_divergence,
    "mutual_information": metrics.mutual_information,
    "reconstruction": plotting.ReconstructionDisplay.from_arrays,
    "samples": plotting.SamplesDisplay.from_arrays,
    "codebook": plotting.CodebookDisplay.from_arrays,
    "decoding": plotting.DecodingDisplay.from_arrays,
    "time": lambda X, Y: plotting.SamplesDisplay.from_arrays(KNOWN, KNOWN, time=X),
    "embedding": lambda X, Y: plotting.EmbeddingDisplay.from_arrays(X, Y),
    "embedding, test": lambda X, Y: plotting.EmbeddingDisplay.from_arrays(
        X, test_embeddings=Y
    ),
}
OF_ONE = {
    "inception": lambda X: metrics.inception_score(X, CLASSIFIER),
    "effective_rank": metrics.effective_rank,
    "uniformity": metrics.uniformity,
    "entropy": metrics.entropy,
    "perplexity": metrics.perplexity,
    "codebook_usage": lambda X: metrics.codebook_usage(X, 10),
    "codebook_correlation": metrics.codebook_correlation,
    "histogram": lambda X: metrics.kl_divergence(X, np.arange(12)),
    "history": lambda X: plotting.HistoryDisplay.from_arrays({"a_loss": X}),
    "history, table": plotting.HistoryDisplay.from_arrays,
    "spectrogram": plotting.SpectrogramDisplay.from_arrays,
    "augmentation": lambda X: plotting.AugmentationDisplay.from_augmentations(
        "gauss", X, random_state=0
    ),
    "representation": lambda X: metrics.evaluate_representation(
        PCA(1), X, labels_of(X), cv=2, n_shots=(1,), probes={}
    )["mean"],
}

# What an error names: an argument, a part of the data, or what was expected.
HELPS = re.compile(
    r"""\b(X|X_\w+|y|y_\w+|Z|Z_prime|tokens|masks|labels|codebook|history|embeddings|
    test_embeddings|time|x|p|q|gamma|features|series|classifier|estimator|must|needs?|
    expected|required|inconsistent|n_splits)\b""",
    re.VERBOSE,
)


def numbers_in(result):
    """All numbers that a result or a display holds."""
    if isinstance(result, (dict, list, tuple)):
        values = result.values() if isinstance(result, dict) else result
        return [number for value in values for number in numbers_in(value)]
    if hasattr(result, "plot") and not isinstance(result, pd.Series):
        return numbers_in(vars(result))
    values = np.ravel(result)
    return [values] if values.dtype.kind in "biuf" else []


def check(name, *args):
    try:
        result = CALLS[name](*args)
    except (TypeError, ValueError) as error:
        assert HELPS.search(str(error)), f"{name}: {error}"  # noqa: PT017
        return
    undefined = name in MAY_BE_UNDEFINED
    for values in numbers_in(result):
        assert undefined or np.isfinite(values).all(), f"{name}: {result}"


CALLS = OF_ONE | OF_TWO
# Displays hold the gaps of series.
HOLD_NAN = {"reconstruction", "samples", "decoding", "augmentation"}
# Infinite where q has a gap; the correlations of constant codes.
MAY_BE_UNDEFINED = {"kl_divergence", "histogram", "codebook", *HOLD_NAN}


@settings(max_examples=400)
@given(st.sampled_from(list(OF_ONE)), inputs())
def test_one_argument(name, X):
    check(name, X)


@settings(max_examples=700)
@given(st.sampled_from(list(OF_TWO)), inputs(), inputs())
def test_two_arguments(name, X, Y):
    check(name, X, Y)


@settings(max_examples=200)
@given(
    st.sampled_from(list(OF_TWO)),
    st.sampled_from(KINDS[:8]),
    st.integers(0, 10**6),
    st.integers(-300, 300),
)
def test_two_alike(name, kind, seed, exponent):
    rng = np.random.default_rng(seed)
    X = kind(rng, 12)
    with np.errstate(over="ignore", under="ignore"):
        check(name, X, X[::-1] * 10.0**exponent)
