"""What users read when something is wrong with what they give: texts, in full."""

import functools
import re

import numpy as np
import pandas as pd
import pytest
import torch
from estimators import (
    tiny_autoregressive,
    tiny_classifier,
    tiny_encoder,
    tiny_fcn,
    tiny_sampler,
    tiny_tokenizer,
    tiny_vae,
    waves,
)
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression

import sktsrep
from sktsrep import (
    AnomalyDetector,
    GaussianImputer,
    PretrainedEncoder,
    STFTTransformer,
    WindowKFold,
    Windows,
    block_function,
    datasets,
    functional,
    load,
    metrics,
    plotting,
)
from sktsrep.augmentations import augment, gaussian_noise, resolve_augmentations
from sktsrep.quantizers import FSQ

X, y = waves(n_samples=12, n_timepoints=32)
CHANNELS = np.stack([X, X], axis=1)
SHORTER, LONGER = X[:, :9], np.hstack([X, X])
GAP, INFINITE, EMPTY = X.copy(), X.copy(), X.copy()
GAP[3, 5], INFINITE[3, 5], EMPTY[3] = np.nan, np.inf, np.nan
NOISE = np.random.default_rng(0).normal(size=(4, 2, 5, 17))

UNTRAINED = {"max_epochs": 0}
# Part of a text that differs between runs or versions, such as the order of a set.
ANY = "<any>"
NAMES = f"a str among {{{ANY}}}"


@functools.cache
def fitted(kind):
    """An estimator that no row changes."""
    tokenizer = tiny_tokenizer(**UNTRAINED)
    estimator = {
        "encoder": tiny_encoder(**UNTRAINED),
        "tokenizer": tokenizer,
        "vae": tiny_vae(**UNTRAINED),
        "sampler": tiny_sampler(tokenizer, **UNTRAINED),
        "unconditional": tiny_autoregressive(tokenizer, **UNTRAINED),
        "fcn": tiny_fcn(**UNTRAINED),
        "imputer": GaussianImputer(),
        "stft": STFTTransformer(device="cpu"),
    }[kind]
    return estimator.fit(X, None if kind == "unconditional" else y)


def windows():
    return Windows(8).fit(X[0])


def encoder(**params):
    return tiny_encoder(**{**UNTRAINED, **params}).fit(X)


def tokenizer(**params):
    return tiny_tokenizer(**{**UNTRAINED, **params}).fit(X)


def sampler_of_tokens(tokens, **params):
    return tiny_sampler(**{**UNTRAINED, **params}).fit(tokens)


def not_fitted(name):
    return (
        f"This {name} instance is not fitted yet. Call 'fit' with appropriate "
        "arguments before using this estimator."
    )


def parameter(name, owner, expected, got):
    return f"The '{name}' parameter of {owner} must be {expected}. Got {got} instead."


def one_dimension(values=ANY):
    return (
        f"Expected 2D array, got 1D array instead:\narray={values}.\nReshape your data "
        "either using array.reshape(-1, 1) if your data has a single feature or "
        "array.reshape(1, -1) if it contains a single sample."
    )


SERIES = "(n_samples, n_timepoints) or (n_samples, n_channels, n_timepoints)"
AN_INT = "must be an int of at least 1, got"

SHAPE_OF_X = [
    (lambda: tiny_encoder().fit(X[0]), one_dimension()),
    (lambda: tiny_encoder().fit([]), one_dimension("[]")),
    (
        lambda: tiny_encoder().fit(X[:, None, None, None]),
        f"Found array with dim 5. SSLEncoder expected <= 4: {SERIES}, or a "
        "spectrogram.",
    ),
    (
        lambda: tiny_fcn().fit(X[:, None, None], y),
        f"Found array with dim 4. FCNClassifier expected <= 3: {SERIES}.",
    ),
    (
        lambda: tiny_encoder().fit(X[:0]),
        "Found array with 0 sample(s) (shape=(0, 32)) while a minimum of 1 is required "
        "by SSLEncoder.",
    ),
    (
        lambda: tiny_encoder(early_stopping=True).fit(X[:1]),
        "With n_samples=1 and validation_fraction=0.1, the resulting train set will be "
        "empty.",
    ),
    (
        lambda: fitted("encoder").transform(SHORTER),
        "X has 9 features, but SSLEncoder is expecting 32 features as input.",
    ),
    (
        lambda: fitted("imputer").impute(SHORTER),
        "X has 9 features, but GaussianImputer is expecting 32 features as input.",
    ),
    (
        lambda: fitted("fcn").predict(CHANNELS),
        "X has shape (12, 2, 32), but FCNClassifier is expecting samples of shape "
        "(32,) as input.",
    ),
    (
        lambda: fitted("unconditional").extend(LONGER),
        "X has 64 values per series, but AutoregressiveSampler is expecting 1 to 32.",
    ),
    (
        lambda: fitted("vae").inverse_transform(X),
        "X has 32 features, but VAE.inverse_transform is expecting latent_dim=3 "
        "features as input.",
    ),
    (
        lambda: fitted("stft").inverse_transform(X),
        "X has samples of shape (32,), but STFTTransformer is expecting spectrograms "
        "of shape (2, 5, 17) as input.",
    ),
    (
        lambda: tiny_encoder().fit(NOISE),
        "X are no spectrograms of series with window='hann', n_fft=8 and hop_length=2. "
        "Give the STFTTransformer's n_fft and hop_length here too; it must have "
        "output='real_imag' and that window.",
    ),
    (
        lambda: tiny_sampler(FrozenEstimator(fitted("tokenizer"))).fit(SHORTER),
        "X has samples of shape (9,), but the tokenizer was fitted on samples of shape "
        "(32,).",
    ),
    (
        lambda: tiny_classifier(FrozenEstimator(fitted("encoder"))).fit(SHORTER, y),
        "X has samples of shape (9,), but the encoder was fitted on samples of shape "
        "(32,).",
    ),
    (
        lambda: fitted("encoder").transform(X, out=np.empty((2, 2))),
        "out must be an array of shape (12, 180), got (2, 2) instead.",
    ),
]

VALUES_OF_X = [
    (
        lambda: tiny_encoder().fit(INFINITE),
        "Input X contains infinity or a value too large for dtype('float64'). The "
        "first is in row 3, timepoint 5. Drop such series, or mark missing values by "
        "NaN.",
    ),
    (
        lambda: Windows(8).fit(INFINITE[3]),
        "Input X contains infinity or a value too large for dtype('float64').",
    ),
    (
        lambda: fitted("unconditional").extend(GAP[:, :8]),
        "Input X contains NaN. The first is in row 3, timepoint 5. Drop such series, "
        "or fill in missing values by GaussianImputer.impute.",
    ),
    (
        lambda: tiny_encoder().fit(EMPTY),
        "X has a series with no observed value in row 3: drop it.",
    ),
    (
        lambda: GaussianImputer().fit(np.full_like(X, np.nan)),
        "X has no observed value.",
    ),
    (
        lambda: tiny_encoder().fit([X[0], []]),
        "X has no timepoints in row 1: drop it.",
    ),
    (
        lambda: tiny_encoder().fit([X[0], np.ones((2, 9))]),
        "X must hold series of shape (n_timepoints,) or (n_channels, n_timepoints), "
        "all with the same channels.",
    ),
    (
        lambda: tiny_encoder().fit(np.ma.masked_less(X, 0)),
        "X has masked values, which would be taken as they are. Give X.filled(np.nan) "
        "where NaN may stand for missing values, otherwise drop these series.",
    ),
    (
        lambda: fitted("encoder").transform(pd.DataFrame(X).assign(when="noon")),
        "Every column of X must hold a timepoint's values, but column 'when' holds "
        f"values of the kind '{ANY}', which could not be converted. Drop it: "
        "X.drop(columns='when').",
    ),
    (
        lambda: fitted("imputer").impute(GAP, mask=np.zeros(X.shape, dtype=bool)),
        "Input X contains NaN where mask is False: mask must be True there.",
    ),
    (
        lambda: fitted("imputer").impute(GAP, mask=np.full(X.shape, 0.5)),
        "mask must hold booleans, got 0.5 instead.",
    ),
    (
        lambda: fitted("imputer").impute(GAP, mask=np.ones((2, 3), dtype=bool)),
        "mask must have the shape (12, 32) of X, got (2, 3) instead.",
    ),
    (
        lambda: sampler_of_tokens(X),
        "Tokens must be integers, got fractions. Series need a tokenizer.",
    ),
    (
        lambda: sampler_of_tokens(X[:, None]),
        "Without a tokenizer, MaskGITSampler is fitted on tokens (n_samples, "
        "n_tokens), got X with 3 axes instead. For series give a tokenizer, such as "
        "SSLVQTokenizer().",
    ),
    (
        lambda: sampler_of_tokens([[0, 11]], n_codes=4),
        "Tokens must lie in [0, 4), got values from 0 to 11.",
    ),
    (
        lambda: sampler_of_tokens([[100_000, 0]]),
        "2 integers up to 100000 look like readings, not tokens. Series need a "
        "tokenizer; if these are tokens, give n_codes.",
    ),
    (
        lambda: fitted("tokenizer").decode([[0, 1]]),
        "X has 2 tokens per series, but 8 are expected.",
    ),
]

LABELS = [
    (
        lambda: tiny_classifier().fit(X, None),
        "This FineTunedClassifier estimator requires y to be passed, but the target y "
        "is None.",
    ),
    (
        lambda: tiny_fcn().fit(X, y[:-1]),
        "Found input variables with inconsistent numbers of samples: [12, 11]",
    ),
    (
        lambda: tiny_sampler(tiny_tokenizer()).fit(X, y[:-1]),
        "Found input variables with inconsistent numbers of samples: [12, 11]",
    ),
    (
        lambda: tiny_fcn().fit(X, y + 0.5),
        "Unknown label type: continuous. Maybe you are trying to fit a classifier, "
        "which expects discrete classes on a regression target with continuous values.",
    ),
    (
        lambda: tiny_fcn().fit(X, np.where(y == 1, np.nan, 0.0)),
        "Input y contains NaN or None, first at place 1: every series needs a label.",
    ),
    (
        lambda: fitted("sampler").sample(2, y=7),
        "y contains previously unseen labels: [7]. Known are [0, 1].",
    ),
    (
        lambda: fitted("sampler").sample(2, y=[0, 1, 0]),
        "y must have n_samples=2 labels, got 3.",
    ),
    (
        lambda: fitted("unconditional").sample(2, y=0),
        "y was given, but the sampler was fitted without.",
    ),
]

PARAMETERS = [
    (
        lambda: encoder(hidden_dim=0),
        parameter("hidden_dim", "SSLEncoder", "an int in the range [1, inf)", 0),
    ),
    (
        lambda: encoder(ssl="magic"),
        parameter(
            "ssl",
            "SSLEncoder",
            f"{NAMES} or an instance of 'sktsrep.objectives.Objective'",
            "'magic'",
        ),
    ),
    (
        lambda: tokenizer(quantizer="magic"),
        parameter(
            "quantizer",
            "SSLVQTokenizer",
            f"{NAMES} or an instance of 'sktsrep.quantizers.Quantizer'",
            "'magic'",
        ),
    ),
    (
        lambda: tokenizer(quantizer=FSQ(levels=[1])),
        parameter("levels", "FSQ", "one or more ints of at least 2", [1]),
    ),
    (
        lambda: encoder(augmentations="magic"),
        "augmentations must name one of ['crop', 'gauss', 'shift', 'slice', 'warp'], "
        "got 'magic' instead.",
    ),
    (
        lambda: encoder(device="tpu"),
        "device must be 'auto', 'cpu', 'cuda' or 'cuda:<index>', got 'tpu' instead.",
    ),
    (
        lambda: encoder(device="cuda:99"),
        f"device='cuda:99' was asked for, but torch sees {ANY} CUDA device(s).",
    ),
    (
        lambda: encoder(n_fft=8, hop_length=8),
        "hop_length must be less than n_fft=8, so that frames overlap, got 8 instead.",
    ),
    (
        lambda: encoder(early_stopping=True, validation_fraction=None),
        "early_stopping needs held-out series, so validation_fraction must not be "
        "None.",
    ),
    (
        lambda: encoder(checkpoint="file", random_state=None),
        "checkpoint needs a random_state that is an int, got None instead.",
    ),
    (
        lambda: encoder(warm_start=True).set_params(hidden_dim=16).fit(X),
        "With warm_start, fit goes on with the network of the fit before, but "
        "hidden_dim would make another one. Give the former values, or fit a clone.",
    ),
    (
        lambda: tiny_classifier(LogisticRegression()).fit(X, y),
        parameter(
            "encoder",
            "FineTunedClassifier",
            "an SSLEncoder, SSLVQTokenizer or VAE, a FrozenEstimator of one, or None",
            "LogisticRegression",
        ),
    ),
    (
        lambda: tiny_sampler(3).fit(X),
        parameter(
            "tokenizer",
            "MaskGITSampler",
            "an object implementing 'fit', 'encode' and 'decode' or None",
            3,
        ),
    ),
    (
        lambda: sampler_of_tokens([[0, 1]], n_heads=3),
        "hidden_dim must be a multiple of n_heads=3, got 8 instead.",
    ),
    (lambda: fitted("sampler").sample(0), f"n_samples {AN_INT} 0 instead."),
    (lambda: fitted("sampler").forecast(X, 0), f"horizon {AN_INT} 0 instead."),
    (
        lambda: fitted("sampler").forecast(X, 4, quantiles=[2]),
        "quantiles must be a list of numbers between 0 and 1, got [2].",
    ),
    (
        lambda: fitted("sampler").impute(GAP, return_std=True),
        "return_std=True needs n_draws of at least 2.",
    ),
    (
        lambda: AnomalyDetector(tiny_tokenizer(**UNTRAINED), scores=["magic"]).fit(X),
        "scores must be 'auto' or some of ['reconstruction', 'neighbors', 'shape', "
        "'values'], which is what SSLVQTokenizer offers, got ['magic'] instead.",
    ),
    (
        lambda: PretrainedEncoder(scales=()).fit(X),
        "scales must be at least one length, got ().",
    ),
]

RECORDINGS = [
    (
        lambda: Windows(0).fit(X[0]),
        parameter("length", "Windows", "an int in the range [1, inf)", 0),
    ),
    (
        lambda: Windows(8, step=0.5).fit(X[0]),
        parameter("step", "Windows", "an int in the range [1, inf) or None", 0.5),
    ),
    (
        lambda: Windows(100).fit(X[0]),
        "Found array with 32 sample(s) (shape=(32, 1)) while a minimum of 100 is "
        "required by Windows.",
    ),
    (
        lambda: Windows(8).fit([X[0], []]),
        "Recording 1: Found array with 0 sample(s) (shape=(0, 1)) while a minimum of 8 "
        "is required by Windows.",
    ),
    (
        lambda: Windows(8).fit(X[:, None]),
        "Found array with dim 3. Windows expected <= 2: a recording (n_timepoints,) or "
        "(n_timepoints, n_channels). Series (n_samples, n_channels, n_timepoints) need "
        "no windows; to cut them anyway, give list(np.swapaxes(X, 1, 2)).",
    ),
    (
        lambda: windows().inverse_transform(X, X[0]),
        "X has shape (12, 32), but Windows is expecting (13, 1, 8) for these "
        "recordings.",
    ),
    (
        lambda: windows().inverse_scores(X, X[0]),
        "scores has shape (12, 32), but Windows is expecting (13,) or (13, 8) for "
        "these recordings.",
    ),
    (
        lambda: next(WindowKFold(2).split(X, groups=y)),
        "The 'groups' parameter should be the output of Windows.window_index, got "
        "ndarray without the columns ['recording', 'start', 'stop'].",
    ),
    (
        lambda: datasets.make_recording(n_timepoints=10),
        "n_regimes=2 needs n_timepoints of at least 200, got 10.",
    ),
]

NOT_FITTED = [
    (tiny_encoder().transform, "SSLEncoder"),
    (tiny_tokenizer().encode, "SSLVQTokenizer"),
    (tiny_vae().transform, "VAE"),
    (tiny_sampler().impute, "MaskGITSampler"),
    (tiny_autoregressive().extend, "AutoregressiveSampler"),
    (tiny_fcn().predict, "FCNClassifier"),
    (tiny_classifier().predict, "FineTunedClassifier"),
    (GaussianImputer().impute, "GaussianImputer"),
    (STFTTransformer().transform, "STFTTransformer"),
    (PretrainedEncoder().transform, "PretrainedEncoder"),
    (AnomalyDetector().score_samples, "AnomalyDetector"),
    (Windows(8).transform, "Windows"),
    (tiny_sampler(FrozenEstimator(tiny_tokenizer())).fit, "SSLVQTokenizer"),
]

FILES = [
    (
        lambda: load(__file__),
        f"{__file__!r} cannot be loaded: it is no safetensors file ({ANY}).",
    ),
    (
        lambda: block_function(__file__, "magic"),
        "method must be one of ['decision_function', 'encode', 'predict', "
        "'predict_proba', 'reconstruct', 'score_samples', 'score_timepoints', "
        "'transform'], got 'magic' instead.",
    ),
]

METRICS = [
    (
        lambda: metrics.evaluate_samples(fitted("sampler"), X, SHORTER),
        "X_train has series of shape (1, 32) (channels, timepoints), but X_test has "
        "series of shape (1, 9).",
    ),
    (
        lambda: metrics.evaluate_samples(fitted("sampler"), X, X, y),
        "y_train and y_test must be given both, or neither.",
    ),
    (
        lambda: metrics.evaluate_representation(fitted("encoder"), X, 0 * y),
        "Task 'y' has one class, so nothing to predict.",
    ),
    (
        lambda: metrics.evaluate_representation(fitted("encoder"), X, y, n_shots=[0]),
        "n_shots[0] must be an int of at least 1, got 0 instead.",
    ),
    (
        lambda: metrics.frechet_distance(X, X[:1]),
        "X_generated has 1 samples, but a minimum of 2 is required.",
    ),
    (
        lambda: metrics.perplexity([]),
        "tokens is empty, but at least one value is needed: it has shape (0,).",
    ),
    (
        lambda: metrics.codebook_usage([0, 9], 4),
        "tokens must be integers from 0 to 3, got values from 0 to 9 instead.",
    ),
    (
        lambda: plotting.EmbeddingDisplay.from_estimator(
            fitted("encoder"), X, method="magic"
        ),
        "method must be one of ['pca', 'tsne', 'umap', 'densmap'] or a transformer, "
        "got 'magic' instead.",
    ),
]

TENSORS = [
    (
        lambda: functional.codebook_lookup(torch.ones(2, 3), torch.ones(4, 5)),
        "codebook must have the dim 3 of z, got 5 instead.",
    ),
    (
        lambda: functional.vicreg_terms(torch.ones(2, 3), torch.ones(3, 3)),
        "z and z_prime must have the same shape, got (2, 3) and (3, 3) instead.",
    ),
    (
        lambda: functional.mask_fraction(torch.ones(1), "magic"),
        "schedule must be one of ('cosine', 'linear', 'square', 'cubic', 'sqrt'), got "
        "'magic' instead.",
    ),
    (
        lambda: functional.finite_scalar_round(torch.ones(2, 3), [3, 3]),
        "levels must hold one int per component, 3 in all, got 2 instead.",
    ),
    (
        lambda: windows().transform([np.ones(9), np.ones((9, 1))]),
        "All recordings must have a channel axis, or none must, got both.",
    ),
    (
        lambda: Windows(8).fit(
            pd.DataFrame({"when": pd.date_range("2026", periods=9)})
        ),
        "Every column must be a channel, but column 'when' holds datetime64[us]. Make "
        "it the index: X.set_index('when').",
    ),
    (
        lambda: windows().fill_gaps(GAP[3], lambda X: X[0]),
        "impute must give windows of shape (1, 8), got (8,) instead.",
    ),
    (
        lambda: fitted("sampler").forecast(X[:1], 2, quantiles=0.5),
        "quantiles must be a list of numbers between 0 and 1, got 0.5.",
    ),
    (
        lambda: fitted("encoder").transform(X, out=np.empty((12, 180), int)),
        "out must be able to hold float64, got int64 instead.",
    ),
    (
        lambda: plotting.AnomalyDisplay.from_estimator(fitted("vae"), X[0]),
        "windows is missing. Give the Windows that cut the training data, or a "
        "pipeline of Windows and a detector, not VAE.",
    ),
]

TYPES = [
    (
        lambda: windows().fill_gaps(GAP[3], GaussianImputer()),
        "impute must be a function of windows, such as "
        "GaussianImputer().fit(windows).impute, got GaussianImputer instead.",
    ),
    (
        lambda: encoder(callbacks=[print]),
        "callbacks must be skorch callbacks, got <built-in function print> instead. "
        "Those of scikit-learn 1.9 or newer go to set_callbacks.",
    ),
    (
        lambda: resolve_augmentations(["crop", 3]),
        "augmentations must be the name of a preset, a callable or a list of those, "
        "got 3 instead.",
    ),
    (
        lambda: augment(torch.ones(2, 1, 9), ["crop"]),
        "augmentations must be a list of callables, got 'crop' in it. See "
        "resolve_augmentations.",
    ),
    (lambda: gaussian_noise(X), "x must be a tensor, got ndarray instead."),
    (
        lambda: metrics.evaluate_representation(LogisticRegression(), X, y),
        "estimator must be a transformer, but 'LogisticRegression' is a "
        "LogisticRegression, which has no transform.",
    ),
    (
        lambda: metrics.evaluate_representation(fitted("encoder"), X, y, n_shots=1),
        "n_shots must be a sequence of ints, got 1 instead.",
    ),
    (
        lambda: metrics.evaluate_samples(fitted("encoder"), X, X),
        "sampler must have a method sample, but SSLEncoder has none.",
    ),
    (
        lambda: plotting.HistoryDisplay.from_estimator(tiny_encoder()),
        "estimator must have history_, but SSLEncoder has no history_, or is not "
        "fitted.",
    ),
]

VALUE_ERRORS = [
    *SHAPE_OF_X,
    *VALUES_OF_X,
    *LABELS,
    *PARAMETERS,
    *RECORDINGS,
    *FILES,
    *METRICS,
    *TENSORS,
]
ROWS = [
    *((call, ValueError, text) for call, text in VALUE_ERRORS),
    *((call, TypeError, text) for call, text in TYPES),
    *(
        (functools.partial(method, X), NotFittedError, not_fitted(name))
        for method, name in NOT_FITTED
    ),
    (
        lambda: sktsrep.magic,
        AttributeError,
        "module 'sktsrep' has no attribute 'magic'",
    ),
]


@pytest.mark.parametrize(
    ("call", "kind", "text"), ROWS, ids=[text[:40] for _, _, text in ROWS]
)
def test_text_of_error(call, kind, text):
    pattern = ".+".join(map(re.escape, text.split(ANY)))
    with pytest.raises(kind) as caught:
        call()
    assert re.fullmatch(pattern, str(caught.value), re.DOTALL), str(caught.value)
