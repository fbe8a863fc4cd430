"""scikit-learn's own checks, and its conventions beyond them, for every estimator."""

import ast
import copy
import inspect
import pickle
import re

import joblib
import numpy as np
import pandas as pd
import pytest
import torch
from estimators import (
    needs_callbacks,
    tiny_autoregressive,
    tiny_classifier,
    tiny_encoder,
    tiny_fcn,
    tiny_sampler,
    tiny_tokenizer,
    tiny_vae,
    waves,
)
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, cross_validate
from sklearn.pipeline import make_pipeline
from sklearn.utils import get_tags
from sklearn.utils.estimator_checks import parametrize_with_checks
from skorch.callbacks import Callback

import sktsrep
from sktsrep import GaussianImputer, PretrainedEncoder, STFTTransformer
from sktsrep._base import TorchEstimator
from sktsrep._spectral import SpectralEstimator
from sktsrep.objectives import VIbCReg
from sktsrep.samplers import TokenSampler

SHORT = {"max_epochs": 1}
ESTIMATORS = [
    GaussianImputer(),
    STFTTransformer(device="cpu"),
    STFTTransformer(device="cpu", flatten=True),
    PretrainedEncoder(scales=(64,), device="cpu"),
    tiny_tokenizer(**SHORT),
    tiny_tokenizer(ssl=None, output="tokens", **SHORT),
    tiny_sampler(tiny_tokenizer(ssl=None, **SHORT), **SHORT),
    tiny_autoregressive(tiny_tokenizer(ssl=None, **SHORT), **SHORT),
    tiny_encoder(**SHORT),
    tiny_vae(**SHORT),
    tiny_classifier(tiny_encoder(**SHORT)),  # scikit-learn checks that it learns
    tiny_fcn(),
]
# Tests of those without a network of their own: test_recordings, test_anomaly.
PUBLIC = [
    getattr(sktsrep, name)
    for name in sktsrep.__all__
    if name[0].isupper() and not name.startswith(("Anomaly", "Window"))
]
TRAINED = [cls for cls in PUBLIC if issubclass(cls, TorchEstimator)]


def test_every_public_estimator_is_tested():
    assert {type(estimator) for estimator in ESTIMATORS} == set(PUBLIC)


def known_differences(estimator):
    """Checks that are not for networks trained on batches."""
    if not hasattr(estimator, "predict_proba"):
        return {}
    return {
        "check_sample_weight_equivalence_on_dense_data": (
            "a series with weight 0 is still in batches, which batch statistics and "
            "the order of draws depend on"
        )
    }


@parametrize_with_checks(ESTIMATORS, expected_failed_checks=known_differences)
def test_scikit_learn_checks(estimator, check):
    check(estimator)


def output(estimator, X):
    """Compute what a fitted estimator makes of series."""
    if hasattr(estimator, "transform"):
        return np.asarray(estimator.transform(X))
    if hasattr(estimator, "predict_proba"):
        return estimator.predict_proba(X)
    return estimator.score_samples(X)


@pytest.fixture(params=ESTIMATORS, ids=lambda e: type(e).__name__)
def estimator(request):
    return clone(request.param)


@pytest.fixture(
    params=[e for e in ESTIMATORS if hasattr(e, "device")],
    ids=lambda e: type(e).__name__,
)
def device_estimator(request):
    return clone(request.param)


@pytest.fixture(scope="module", params=ESTIMATORS, ids=lambda e: type(e).__name__)
def fitted(request):
    """An estimator fitted to waves(), for tests that leave it as it is."""
    return clone(request.param).fit(*waves())


def test_repeats_bit_for_bit(estimator):
    X, y = waves()
    first = output(clone(estimator).fit(X, y), X)
    np.testing.assert_array_equal(first, output(clone(estimator).fit(X, y), X))


def test_random_states_are_handed_back(estimator):
    X, y = waves()
    torch_state = torch.get_rng_state()
    numpy_state = pickle.dumps(np.random.mtrand._rand)
    output(estimator.fit(X, y), X)
    if hasattr(estimator, "sample"):
        estimator.sample(3)
    assert torch.equal(torch_state, torch.get_rng_state())
    assert pickle.dumps(np.random.mtrand._rand) == numpy_state


def test_prediction_changes_nothing(fitted):
    X, _ = waves()
    before = pickle.dumps(fitted)
    output(fitted, X[::-1] * 3)
    assert pickle.dumps(fitted) == before


def test_a_row_does_not_depend_on_its_batch(estimator):
    X, y = waves(n_samples=70)
    estimator.fit(X, y)
    whole = output(estimator, X)
    alone = np.concatenate([output(estimator, X[i : i + 1]) for i in (0, 64, 69)])
    np.testing.assert_array_equal(alone, whole[[0, 64, 69]])
    np.testing.assert_array_equal(output(estimator, X[::-1]), whole[::-1])


@pytest.mark.parametrize(
    "duplicate", [copy.deepcopy, lambda e: pickle.loads(pickle.dumps(e))]
)
def test_copies_work_the_same(fitted, duplicate):
    X, _ = waves()
    np.testing.assert_array_equal(output(duplicate(fitted), X), output(fitted, X))


def preserved_dtypes(estimator):
    tags = get_tags(estimator).transformer_tags
    return [] if tags is None else tags.preserves_dtype


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.int32])
def test_dtypes_and_memory_orders(estimator, dtype):
    X, y = waves()
    X = np.asarray(10 * X, dtype=dtype, order="F")
    result = output(estimator.fit(X, y), X)
    expected = np.dtype(np.float64 if dtype == np.int32 else dtype)
    if expected.name in preserved_dtypes(estimator):
        assert result.dtype == expected
    contiguous = np.ascontiguousarray(X)
    np.testing.assert_array_equal(result, output(estimator, contiguous))


def test_read_only_memory_map(estimator, tmp_path):
    X, y = waves()
    np.save(tmp_path / "X.npy", X)
    mapped = np.load(tmp_path / "X.npy", mmap_mode="r")
    result = output(clone(estimator).fit(mapped, y), mapped)
    np.testing.assert_array_equal(result, output(estimator.fit(X, y), X))


@pytest.mark.parametrize("n_samples", [1, 2, 17])
@pytest.mark.parametrize("n_timepoints", [1, 2, 3, 33])
def test_any_size(estimator, n_samples, n_timepoints):
    X, y = waves(n_samples, n_timepoints)
    result = output(estimator.fit(X, y), X)
    assert len(result) == n_samples
    assert np.isfinite(result).all()


def test_channels(estimator):
    X, y = waves(n_channels=3)
    assert len(output(estimator.fit(X, y), X)) == len(X)


@pytest.mark.parametrize("value", [0.0, 300.0, -1e6])
def test_constant_series(estimator, value):
    X, y = np.full((10, 20), value), np.arange(10) % 2
    assert np.isfinite(output(estimator.fit(X, y), X)).all()


def test_memory_mapped_estimators(fitted, tmp_path):
    X, _ = waves()
    joblib.dump(fitted, tmp_path / "estimator.joblib")
    mapped = joblib.load(tmp_path / "estimator.joblib", mmap_mode="r")
    np.testing.assert_array_equal(output(mapped, X), output(fitted, X))


def test_data_frames_in_and_out(estimator):
    X, y = waves()
    frame = pd.DataFrame(X, columns=[f"t{i}" for i in range(X.shape[1])])
    estimator.fit(frame, y)
    assert list(estimator.feature_names_in_) == list(frame.columns)
    if hasattr(estimator, "get_feature_names_out"):
        result = estimator.set_output(transform="pandas").transform(frame)
        assert isinstance(result, pd.DataFrame)
        assert list(result.columns) == list(estimator.get_feature_names_out())


BAD_INPUT = {
    "NaN": (np.array([[1.0, np.nan]]), ValueError, "contains NaN"),
    "infinity": (np.array([[1.0, np.inf]]), ValueError, "contains infinity"),
    "one axis": (np.ones(4), ValueError, "Reshape your data"),
    "five axes": (np.ones((2, 1, 1, 1, 1)), ValueError, "dim 5"),
    "text": (np.array([["a", "b"]]), ValueError, "could not convert|numeric"),
    "complex": (np.ones((2, 2)) * 1j, ValueError, "Complex data not supported"),
    "no samples": (np.ones((0, 5)), ValueError, "minimum of 1 is required"),
    "no timepoints": (np.ones((2, 1, 0)), ValueError, "minimum of 1 is required"),
}


@pytest.mark.parametrize("case", BAD_INPUT)
def test_bad_input(estimator, case):
    if case == "NaN" and get_tags(estimator).input_tags.allow_nan:
        return
    X, error, message = BAD_INPUT[case]
    with pytest.raises(error, match=message):
        estimator.fit(X, np.arange(len(X)) % 2)
    assert not hasattr(estimator, "net_")


@pytest.mark.parametrize("shape", [(5, 49), (5, 2, 50), (5, 1, 49)])
def test_wrong_shape_at_prediction(fitted, shape):
    with pytest.raises(ValueError, match="expecting"):
        output(fitted, np.ones(shape))


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has CUDA")
def test_cuda_without_cuda(device_estimator):
    with pytest.raises(ValueError, match="0 CUDA"):
        device_estimator.set_params(device="cuda").fit(*waves())


def test_unknown_device(device_estimator):
    with pytest.raises(ValueError, match="device must be"):
        device_estimator.set_params(device="abacus").fit(*waves())


def probe_pipeline(**params):
    return make_pipeline(
        STFTTransformer(device="cpu"), tiny_tokenizer(**params), LogisticRegression()
    )


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_grid_search_over_objectives(n_jobs):
    X, y = waves(n_channels=2)
    grid = {
        "sslvqtokenizer__ssl": ["barlow_twins", VIbCReg(covariance_weight=200), None]
    }
    search = GridSearchCV(probe_pipeline(), grid, cv=2, n_jobs=n_jobs).fit(X, y)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()


@pytest.mark.parametrize("flatten", [False, True])
def test_pipelines_give_data_frames(flatten):
    X, y = waves()
    pipe = make_pipeline(STFTTransformer(device="cpu", flatten=flatten))
    if not flatten:
        pipe.steps.append(("tokenizer", tiny_tokenizer()))
    frame = pipe.set_output(transform="pandas").fit_transform(X, y)
    assert isinstance(frame, pd.DataFrame)
    assert list(frame.columns) == list(pipe[-1].get_feature_names_out())


def test_grid_search_inside_an_objective_without_labels():
    X, _ = waves()
    grid = {"ssl__covariance_weight": [1.0, 10.0]}
    search = GridSearchCV(tiny_tokenizer(ssl=VIbCReg()), grid, cv=2).fit(X)
    assert search.best_params_.keys() == grid.keys()


def test_cross_validate_and_frozen():
    X, y = waves()
    frozen = FrozenEstimator(tiny_tokenizer().fit(X))
    result = cross_validate(make_pipeline(frozen, LogisticRegression()), X, y, cv=3)
    assert result["test_score"].mean() > 0.5


def test_mps_is_no_device(device_estimator):
    with pytest.raises(ValueError, match="device must be"):
        device_estimator.set_params(device="mps").fit(*waves())


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
def test_fitted_on_cuda_used_on_cpu(device_estimator):
    X, y = waves()
    device_estimator.set_params(device="cuda").fit(X, y)
    moved = copy.deepcopy(device_estimator)
    if hasattr(moved, "net_"):
        moved.net_.set_params(device="cpu")
        moved.net_.module_.cpu()
    else:
        moved.set_params(device="cpu")
    expected = output(device_estimator, X)
    if expected.dtype == np.int64:  # a near tie may fall the other way
        assert (output(moved, X) == expected).mean() > 0.95
    elif not {"quantizer", "tokenizer"} & device_estimator.get_params().keys():
        is_close = np.isclose(output(moved, X), expected, rtol=1e-2, atol=1e-2)
        assert is_close.mean() > 0.999  # shares of time above a threshold jump


@pytest.mark.parametrize(
    ("first", "given"), [((9, 2, 30), (9, 30)), ((9, 30), (9, 2, 30))]
)
def test_axes_must_be_those_of_fit(estimator, first, given):
    X, y = np.random.default_rng(0).normal(size=first), np.arange(9) % 2
    estimator.fit(X, y)
    with pytest.raises(ValueError, match=r"X has shape .* expecting samples of shape"):
        output(estimator, np.zeros(given))


# -------------------------------------------------------------------------- no training


class KeepStart(Callback):
    """Keeps the weights and buffers that a training starts from."""

    def on_train_begin(self, net, **kwargs):
        self.state = copy.deepcopy(net.module_.state_dict())


@pytest.fixture(
    params=[e for e in ESTIMATORS if isinstance(e, TorchEstimator)],
    ids=lambda e: type(e).__name__,
)
def trained(request):
    return clone(request.param)


def test_without_epochs_the_network_is_that_of_the_start(trained):
    X, y = waves()
    start = KeepStart()
    clone(trained).set_params(callbacks=[start]).fit(X, y)
    untrained = trained.set_params(max_epochs=0).fit(X, y)
    state = untrained.net_.module_.state_dict()
    # The objective's network is needed in training only.
    assert all("joint_embedding" in name for name in start.state.keys() - state.keys())
    changed = {name for name in state if not state[name].equal(start.state[name])}
    # A VAE has the variance that is best for the data, trained or not.
    assert changed <= {"log_variance"}


def test_without_epochs_there_is_no_history(trained):
    X, y = waves()
    trained.set_params(max_epochs=0).fit(X, y)
    assert trained.n_iter_ == 0
    assert len(trained.history_) == 0


@pytest.mark.parametrize("early_stopping", [False, True])
def test_without_epochs_fits_work_and_repeat(trained, early_stopping):
    X, y = waves()
    trained.set_params(max_epochs=0, early_stopping=early_stopping)
    first, second = (output(clone(trained).fit(X, y), X) for _ in range(2))
    assert np.isfinite(first).all()
    np.testing.assert_array_equal(first, second)


@needs_callbacks
def test_without_epochs_callbacks_do_not_fail(trained):
    from sklearn.callback import ProgressBar

    X, y = waves()
    watched = clone(trained).set_params(max_epochs=0).set_callbacks(ProgressBar())
    result = output(watched.fit(X, y), X)
    expected = output(trained.set_params(max_epochs=0).fit(X, y), X)
    np.testing.assert_array_equal(result, expected)


# ------------------------------------------------------------ signatures and docstrings

TRAINING_PARAMETERS = [
    "max_epochs",
    "batch_size",
    "lr",
    "weight_decay",
    "early_stopping",
    "validation_fraction",
    "amp",
    "compile",
    "device",
    "random_state",
    "verbose",
    "callbacks",
    "checkpoint",
    "warm_start",
]


def parameters_of(cls):
    return inspect.signature(cls).parameters


@pytest.mark.parametrize("cls", TRAINED)
def test_training_parameters_come_last_and_are_the_same(cls):
    names = list(parameters_of(cls))
    assert names[-len(TRAINING_PARAMETERS) :] == TRAINING_PARAMETERS
    assert set(TRAINING_PARAMETERS).isdisjoint(names[: -len(TRAINING_PARAMETERS)])


@pytest.mark.parametrize("cls", PUBLIC)
def test_parameters_are_documented_in_order_with_their_defaults(cls):
    documented = documented_parameters(cls)
    assert list(documented) == list(parameters_of(cls))
    for name, parameter in parameters_of(cls).items():
        default = documented[name][0].partition("default=")[2]
        assert ast.literal_eval(default) == parameter.default


@pytest.mark.parametrize("cls", PUBLIC)
def test_all_but_the_first_parameter_are_keywords(cls):
    names = list(parameters_of(cls))
    keywords = [
        name
        for name, parameter in parameters_of(cls).items()
        if parameter.kind is parameter.KEYWORD_ONLY
    ]
    first_is_a_keyword = names[0] in TRAINING_PARAMETERS
    assert keywords == (names if first_is_a_keyword else names[1:])


def documented_parameters(cls):
    """Type and description of every parameter in a numpydoc docstring."""
    doc = inspect.getdoc(cls).replace("\\\n", "")
    section = re.search(r"^Parameters\n-+\n(.*?)\n\n\w+( \w+)*\n-+\n", doc, re.M | re.S)
    entries = re.findall(r"^(\w+) : (.*)\n((?:(?: .*)?\n)*)", section[1] + "\n", re.M)
    return {name: (kind, text) for name, kind, text in entries}


def without_what_may_differ(name, entry):
    """Drop numbers of optimizer steps, and defaults that suit an estimator."""
    kind, text = entry
    if name == "max_epochs":
        text = re.sub(r"\b\d{3,}\b", "...", text)
    if name in {"batch_size", "dropout", "lr", "max_tokens", "weight_decay"}:
        kind = kind.partition("default=")[0]
    if name == "validation_fraction":  # "auto" is another share for classifiers
        text = text.partition(". ")[0]
    return kind, " ".join(text.split())


@pytest.mark.parametrize("base", [TorchEstimator, SpectralEstimator, TokenSampler])
def test_shared_parameters_have_one_documentation(base):
    shared = [
        name
        for name, parameter in parameters_of(base).items()
        if parameter.kind is not parameter.VAR_KEYWORD
    ]
    subclasses = [cls for cls in TRAINED if issubclass(cls, base)]
    assert len(subclasses) > 1
    for name in shared:
        texts = {
            without_what_may_differ(name, documented_parameters(cls)[name])
            for cls in subclasses
        }
        assert len(texts) == 1, name
