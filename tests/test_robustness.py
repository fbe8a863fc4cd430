"""What goes wrong around a fit: bad values, interruptions, callers' settings, forks."""

import copy
import os
import pickle
import subprocess
import sys
import threading
import warnings

import numpy as np
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
from sklearn.exceptions import InconsistentVersionWarning
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from skorch.callbacks import Callback

import sktsrep
from sktsrep import STFTTransformer, _versions
from sktsrep._holdout import held_out_rows
from sktsrep.metrics import evaluate_representation

# ----------------------------------------------------------------------- extreme values


def with_outlier(value, n_samples=60):
    X, y = waves(n_samples)
    spoiled = X.copy()
    spoiled[7, 30] = value
    return X, spoiled, y, np.arange(n_samples) != 7


@pytest.mark.parametrize("value", [-9999.0, 1e6, 1e20, -1e300])
@pytest.mark.parametrize("maker", [tiny_tokenizer, tiny_encoder, tiny_vae])
def test_one_bad_value_leaves_the_others_their_embeddings(maker, value):
    X, spoiled, _, others = with_outlier(value)
    clean = maker(max_epochs=5).fit(X).transform(X)[others]
    with pytest.warns(UserWarning, match=r"row 7, channel 0 \(up to") as caught:
        Z = maker(max_epochs=5).fit(spoiled).transform(spoiled)
    assert len(caught) == 1
    assert caught[0].filename == __file__
    assert np.isfinite(Z).all()
    assert Z[others].std(axis=0).mean() > 0.5 * clean.std(axis=0).mean()


@pytest.mark.parametrize("value", [-9999.0, 1e6, 1e20])
def test_one_bad_value_leaves_reconstructions_and_samples_alone(value):
    X, spoiled, _, others = with_outlier(value)
    params = {"max_epochs": 20, "lr": 3e-3, "ssl": None}
    clean = tiny_tokenizer(**params).fit(X)
    with pytest.warns(UserWarning, match="row 7"):
        sampler = tiny_sampler(tiny_tokenizer(**params)).fit(spoiled)
    errors = [
        np.square(tokenizer.reconstruct(X[others]) - X[others]).mean()
        for tokenizer in (clean, sampler.tokenizer_)
    ]
    assert errors[1] < 1.5 * errors[0]
    assert sampler.sample(50).std() < 2 * X.std()


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("maker", [tiny_tokenizer, tiny_encoder, tiny_vae, tiny_fcn])
def test_finite_series_never_give_nan(maker, dtype):
    X, y = waves(dtype=dtype)
    estimator = maker().fit(X, y)
    largest = np.finfo(dtype).max
    extreme = np.stack([np.full(50, largest), np.full(50, -largest), X[0]])
    extreme[2, 20] = largest
    assert np.isfinite(estimator.transform(extreme)).all()
    for method in ("score_samples", "reconstruct", "predict_proba"):
        if hasattr(estimator, method):
            assert np.isfinite(getattr(estimator, method)(extreme)).all()


@pytest.mark.parametrize("maker", [tiny_tokenizer, tiny_vae])
def test_the_worst_series_gets_the_worst_score(maker):
    X, _ = waves()
    estimator = maker(max_epochs=5).fit(X)
    odd = np.repeat(X[:1], 6, axis=0)
    odd[:, 25] = [0, 10, 1e3, 1e6, 1e12, 1e60]
    assert (np.diff(estimator.score_samples(odd)) < 0).all()


@pytest.mark.parametrize("unit", [1e-9, 1e9])
def test_a_constant_channel_comes_back_constant_in_any_unit(unit):
    wave, _ = waves(n_samples=40)
    X = unit * np.stack([wave, np.full_like(wave, 3.0), np.zeros_like(wave)], axis=1)
    tokenizer = tiny_tokenizer(max_epochs=10).fit(X)
    sampler = tiny_sampler(FrozenEstimator(tokenizer)).fit(X)
    vae = tiny_vae(max_epochs=10).fit(X)
    gaps = X[:5].copy()
    gaps[:, :, 10:20] = np.nan
    results = tokenizer.reconstruct(X), sampler.sample(9), sampler.impute(gaps)
    for result in (*results, vae.sample(9), vae.reconstruct(X)):
        assert np.abs(result[:, 1] - 3 * unit).max() < 0.05 * unit
        assert np.abs(result[:, 2]).max() < 0.05 * unit
    fault = X.copy()
    fault[0, 1, 20:25] *= 1.2
    scores = tokenizer.score_samples(fault) - tokenizer.score_samples(X)
    assert scores[0] < 10 * np.abs(scores[1:]).max() - 1


# ------------------------------------------------------------------------ interruptions


class Press(Callback):
    """Presses Ctrl-C once, in the given step of all trainings together."""

    pressed = {}

    def __init__(self, name, step):
        self.name = name
        self.step = step

    def on_batch_end(self, net, **kwargs):
        self.pressed[self.name] = self.pressed.get(self.name, 0) + 1
        if self.pressed[self.name] == self.step:
            raise KeyboardInterrupt


@pytest.fixture
def press(request):
    Press.pressed.clear()
    return Press(request.node.name, step=8)  # in the third epoch of three steps


NESTED = {
    "search": lambda tokenizer, X, y: GridSearchCV(
        tokenizer, {"lr": [1e-3, 2e-3]}, cv=2
    ).fit(X),
    "pipeline": lambda tokenizer, X, y: make_pipeline(
        tokenizer, LogisticRegression()
    ).fit(X, y),
    "cross-validation": lambda tokenizer, X, y: cross_val_score(tokenizer, X, cv=2),
    "sampler": lambda tokenizer, X, y: tiny_sampler(tokenizer).fit(X),
    "classifier": lambda tokenizer, X, y: tiny_classifier(tokenizer).fit(X, y),
    "evaluation": lambda tokenizer, X, y: evaluate_representation(
        tokenizer, X, y, cv=2, baselines=False
    ),
}


@pytest.mark.parametrize("name", NESTED)
def test_an_interrupted_nested_fit_raises(name, press):
    X, y = waves()
    tokenizer = tiny_tokenizer(max_epochs=50, callbacks=[press])
    with pytest.raises(KeyboardInterrupt):
        NESTED[name](tokenizer, X, y)
    assert sum(press.pressed.values()) == press.step  # nothing went on


@pytest.mark.parametrize("method", ["fit", "fit_transform"])
def test_an_interrupted_fit_that_the_user_called_keeps_its_model(method, press):
    X, _ = waves()
    tokenizer = tiny_tokenizer(max_epochs=50, callbacks=[press])
    with pytest.warns(UserWarning, match="interrupted by user"):
        getattr(tokenizer, method)(X)
    assert tokenizer.n_iter_ == 2


def test_a_warning_that_is_an_error_does_not_undo_a_fit(press):
    X, _ = waves()
    tokenizer = tiny_tokenizer(max_epochs=50, callbacks=[press])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(UserWarning, match="interrupted by user"):
            tokenizer.fit(X)
    assert tokenizer.n_iter_ == 2


class FailAtTheEnd(Callback):
    def on_train_end(self, net, **kwargs):
        raise OSError("no network for the upload")


class FailInTeardown:
    def setup(self, estimator, context):
        pass

    def teardown(self, estimator, context):
        raise OSError("no terminal")

    def on_fit_task_begin(self, estimator, context):
        pass

    def on_fit_task_end(self, estimator, context):
        pass


def test_finished_work_survives_callbacks():
    X, _ = waves()
    expected = tiny_encoder().fit_transform(X)
    encoder = tiny_encoder(callbacks=[FailAtTheEnd()])
    with pytest.warns(UserWarning, match="the model is kept. The error was OSError"):
        encoder.fit(X)
    np.testing.assert_array_equal(encoder.transform(X), expected)


@needs_callbacks
def test_finished_work_survives_callbacks_of_scikit_learn():
    X, _ = waves()
    encoder = tiny_encoder().set_callbacks(FailInTeardown())
    with pytest.raises(OSError, match="no terminal"):
        encoder.fit(X)
    expected = tiny_encoder().fit_transform(X)
    np.testing.assert_array_equal(encoder.transform(X), expected)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("maker", [tiny_tokenizer, tiny_encoder, tiny_vae, tiny_fcn])
def test_a_last_step_that_diverges_is_an_error(maker):
    X, y = waves(n_samples=16)  # one step
    estimator = maker(max_epochs=1, lr=1e30)
    with pytest.raises(ValueError, match="Training diverged"):
        estimator.fit(X, y)
    assert not hasattr(estimator, "net_")


# -------------------------------------------------------------- settings of the caller


def under_float64():
    torch.set_default_dtype(torch.float64)
    return lambda: torch.set_default_dtype(torch.float32)


def within(context):
    context.__enter__()
    return lambda: context.__exit__(None, None, None)


SETTINGS = {
    "default dtype": under_float64,
    "no gradient": lambda: within(torch.no_grad()),
    "inference mode": lambda: within(torch.inference_mode()),
    "autocast": lambda: within(torch.autocast("cpu", dtype=torch.bfloat16)),
    "default device": lambda: within(torch.device("meta")),
}
EVERY_ESTIMATOR = {
    "tokenizer": tiny_tokenizer,
    "encoder": tiny_encoder,
    "vae": tiny_vae,
    "fcn": tiny_fcn,
    "classifier": tiny_classifier,
    "sampler": lambda: tiny_sampler(tiny_tokenizer()),
    "autoregressive": lambda: tiny_autoregressive(tiny_tokenizer()),
}


def everything(estimator, X, y):
    """All that an estimator gives, after a fit."""
    estimator.fit(X, y)
    results = [
        getattr(estimator, method)(X)
        for method in ("transform", "predict_proba", "score_samples")
        if hasattr(estimator, method)
    ]
    if hasattr(estimator, "sample"):
        results.append(estimator.sample(3, random_state=0))
    return results


@pytest.mark.parametrize("setting", SETTINGS)
@pytest.mark.parametrize("name", EVERY_ESTIMATOR)
def test_what_the_caller_has_set_changes_nothing(name, setting):
    X, y = waves()
    expected = everything(EVERY_ESTIMATOR[name](), X, y)
    undo = SETTINGS[setting]()
    try:
        dtype = torch.get_default_dtype()
        results = everything(EVERY_ESTIMATOR[name](), X, y)
        assert torch.get_default_dtype() == dtype
    finally:
        undo()
    for result, wanted in zip(results, expected, strict=True):
        np.testing.assert_array_equal(result, wanted)


def test_threads_of_a_fit_are_recorded():
    assert tiny_encoder().fit(waves()[0]).n_threads_ == torch.get_num_threads()


# ------------------------------------------------------------------ threads and forks


class Hold(Callback):
    """Stops a training until it is released."""

    started, release = threading.Event(), threading.Event()

    def on_epoch_begin(self, net, **kwargs):
        self.started.set()
        self.release.wait(60)


@pytest.fixture
def training_elsewhere():
    Hold.started.clear()
    Hold.release.clear()
    encoder = tiny_encoder(callbacks=[Hold()])
    thread = threading.Thread(target=encoder.fit, args=(waves()[0],))
    thread.start()
    assert Hold.started.wait(60)
    yield
    Hold.release.set()
    thread.join()


def test_sampling_does_not_wait_for_a_training(training_elsewhere_after_fit):
    sampler, vae = training_elsewhere_after_fit
    assert sampler.sample(2).shape == (2, 50)
    assert vae.sample(2).shape == (2, 50)
    assert np.isfinite(vae.score_samples(waves()[0])).all()


@pytest.fixture
def fitted_generators():
    X, _ = waves()
    return tiny_sampler(tiny_tokenizer()).fit(X), tiny_vae().fit(X)


@pytest.fixture
def training_elsewhere_after_fit(fitted_generators, training_elsewhere):
    return fitted_generators


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of a fork among threads
def test_a_forked_process_samples_and_trains(training_elsewhere_after_fit):
    sampler, _ = training_elsewhere_after_fit
    child = os.fork()
    if child == 0:
        sampler.sample(2)
        tiny_encoder().fit(waves()[0])
        os._exit(0)
    done = threading.Event()

    def wait():
        assert os.waitpid(child, 0)[1] == 0
        done.set()

    thread = threading.Thread(target=wait, daemon=True)
    thread.start()
    finished = done.wait(60)
    if not finished:
        os.kill(child, 9)
    assert finished


# ------------------------------------------------------------------- copies and pickles


@pytest.mark.parametrize("maker", [tiny_tokenizer, tiny_encoder])
def test_a_lambda_among_augmentations_can_be_handed_on(maker):
    X, y = waves()
    fitted = maker(augmentations=["gauss", lambda x: x.flip(-1)]).fit(X)
    expected = fitted.transform(X)
    np.testing.assert_array_equal(copy.deepcopy(fitted).transform(X), expected)
    classifier = tiny_classifier(FrozenEstimator(fitted)).fit(X, y)
    assert classifier.predict(X).shape == (len(X),)


def test_pickles_hold_what_prediction_needs():
    X, _ = waves()
    encoder = tiny_encoder(latent_dim=16).fit(X)
    weights = sum(p.nbytes for p in encoder.net_.module_.encoder.parameters())
    assert len(pickle.dumps(encoder)) < weights + 60_000
    assert not any(
        "projector" in name for name, _ in encoder.net_.module_.named_modules()
    )


@pytest.mark.parametrize(
    "estimator", [STFTTransformer(device="cpu"), tiny_encoder(), tiny_tokenizer()]
)
def test_pickles_know_their_version(estimator, monkeypatch):
    data = pickle.dumps(estimator.fit(waves()[0]))
    assert sktsrep.__version__.encode() in data
    assert pickle.loads(data)
    monkeypatch.setattr(_versions, "VERSION", "9.9.9")
    with pytest.warns(InconsistentVersionWarning, match="of sktsrep"):
        pickle.loads(data)


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has CUDA")
def test_models_of_a_missing_device_open_on_the_cpu():
    X, _ = waves()
    encoder = tiny_encoder().fit(X)
    expected = encoder.transform(X)
    encoder.net_.device = "cuda:3"
    with pytest.warns(UserWarning, match="The CPU is used instead"):
        np.testing.assert_array_equal(encoder.transform(X), expected)
    stft = STFTTransformer(device="cpu").fit(X)
    expected = stft.transform(X)
    stft.set_params(device="cuda")
    with pytest.warns(UserWarning, match="The CPU is used instead"):
        np.testing.assert_array_equal(stft.transform(X), expected)


# ------------------------------------------------------------------------ single series


@pytest.mark.parametrize("maker", [tiny_tokenizer, tiny_encoder, tiny_vae])
def test_without_batch_invariance_only_rounding_differs(maker):
    X, _ = waves(n_samples=20)
    estimator = maker().fit(X)
    expected = estimator.transform(X)
    with sktsrep.config_context(batch_invariant=False):
        alone = np.concatenate([estimator.transform(x[None]) for x in X])
    np.testing.assert_allclose(alone, expected, rtol=1e-3, atol=1e-4)
    np.testing.assert_array_equal(estimator.transform(X), expected)


# ------------------------------------------------------------------- labels and weights


@pytest.mark.parametrize("maker", [tiny_fcn, tiny_classifier])
def test_a_rare_class_is_never_held_out_whole(maker):
    rng = np.random.default_rng(0)
    y = np.array(["usual"] * 18 + ["rare"] * 2)
    X = rng.normal(size=(20, 32)) + 8 * (y == "rare")[:, None] * np.sin(np.arange(32))
    for seed in range(5):
        model = maker(early_stopping=20, validation_fraction=0.5, random_state=seed)
        assert "rare" in model.set_params(max_epochs=40, lr=1e-2).fit(X, y).predict(X)


def test_held_out_rows_have_the_classes_in_equal_shares():
    labels = np.repeat([0, 1, 2], [60, 30, 1])
    rows = held_out_rows(np.zeros((91, 8)), 18, np.random.RandomState(0), labels)
    assert len(set(rows)) == 18
    assert np.bincount(labels[rows], minlength=3).tolist() == [12, 6, 0]


def test_minus_one_means_unlabeled_beside_two_classes():
    X, y = waves(n_samples=60)
    hidden = np.where(np.arange(60) < 40, y, -1)
    classifier = tiny_classifier().fit(X, hidden)
    assert classifier.classes_.tolist() == [0, 1]
    encoder = tiny_encoder(random_state=classifier.encoder_.random_state).fit(X)
    np.testing.assert_array_equal(
        classifier.encoder_.transform(X), encoder.transform(X)
    )  # pre-trained on all rows
    signs = tiny_classifier().fit(X, 2 * y - 1)
    assert signs.classes_.tolist() == [-1, 1]


@pytest.mark.parametrize("maker", [tiny_fcn, tiny_classifier])
def test_series_of_weight_zero_teach_nothing(maker):
    X, y = waves(n_samples=60)
    wrong = np.arange(60) % 3 == 0
    noisy = np.where(wrong, 1 - y, y)
    more = {"max_epochs": 40, "lr": 1e-2}
    weighted = maker(**more).fit(X, noisy, sample_weight=(~wrong).astype(float))
    assert weighted.score(X, y) > 0.9
    with pytest.raises(ValueError, match=r"[Nn]egative"):
        maker().fit(X, y, sample_weight=-np.ones(60))


def test_random_states_that_go_on():
    X, _ = waves()
    sampler = tiny_sampler(tiny_tokenizer()).fit(X)
    for state in (np.random.RandomState(0), np.random.default_rng(0)):
        first, second = (sampler.sample_tokens(9, random_state=state) for _ in range(2))
        assert (first != second).any()


TRAINING_AT_EXIT = """
import threading, time
import numpy as np
from sktsrep import SSLEncoder

encoder = SSLEncoder(hidden_dim=8, n_blocks=1, max_epochs=10**6, device="cpu")
X = np.sin(np.linspace(0, 9, 32) + np.arange(16)[:, None])
threading.Thread(target=encoder.fit, args=(X,), daemon=True).start()
time.sleep(1)
"""


def test_an_interpreter_may_end_during_a_training():
    done = subprocess.run([sys.executable, "-c", TRAINING_AT_EXIT], timeout=120)
    assert done.returncode == 0
