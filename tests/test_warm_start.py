"""Fits that go on from the network of the fit before."""

import pickle
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from estimators import (
    KeepNetwork,
    PowerCut,
    StopAt,
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
from sklearn.exceptions import InconsistentVersionWarning
from skorch.callbacks import Callback
from torch import nn

import sktsrep
from sktsrep import Windows, _checkpoint, samplers
from sktsrep.networks import TrainingModule
from sktsrep.nn import CodeScores, EMAQuantizer, ResidualQuantizer
from sktsrep.quantizers import FSQ, EMACodebook, ResidualVQ

WARM = {"warm_start": True, "random_state": 0}
MAKERS = {
    "tokenizer": lambda: tiny_tokenizer(**WARM),
    "residual": lambda: tiny_tokenizer(
        quantizer=ResidualVQ(2, EMACodebook(8, dim=4)), ssl=None, **WARM
    ),
    "fsq": lambda: tiny_tokenizer(quantizer=FSQ((4, 3), dim=4), ssl=None, **WARM),
    "encoder": lambda: tiny_encoder(**WARM),
    "byol": lambda: tiny_encoder(ssl="byol", **WARM),
    "vae": lambda: tiny_vae(**WARM),
    "maskgit": lambda: tiny_sampler(tiny_tokenizer(), **WARM),
    "autoregressive": lambda: tiny_autoregressive(tiny_tokenizer(), **WARM),
    "classifier": lambda: tiny_classifier(**WARM),
    "fcn": lambda: tiny_fcn(**WARM),
}
# What an objective trains beside the encoder starts anew, and its loss is all.
SELF_SUPERVISED = {"encoder", "byol"}
# Of a tokenizer's loss, the reconstruction goes on.
GOES_ON = {"tokenizer": "time_loss"}
every_estimator = pytest.mark.parametrize("name", MAKERS)


class Fail(Callback):
    def on_epoch_end(self, net, **kwargs):
        raise RuntimeError("failed in epoch 1")


def new_waves(n_samples=40, **params):
    return waves(n_samples, seed=1, **params)


def tensors(estimator):
    state = estimator.net_.module_.state_dict()
    return {name: tensor.clone() for name, tensor in state.items()}


def changed_tensors(before, estimator):
    after = tensors(estimator)
    assert before.keys() == after.keys()
    return {name for name in before if not before[name].equal(after[name])}


def learned_arrays(estimator):
    """What scales and codes series, also in the parts of an estimator."""
    names = ("mean_", "scale_", "classes_", "codebook_", "level_codebook_")
    names += ("_frames", "_bounds", "_shared_mean", "_shared_deviation")
    found = {name: getattr(estimator, name, None) for name in names}
    for part in ("encoder_", "tokenizer_"):
        if hasattr(estimator, part):
            found[part] = learned_arrays(getattr(estimator, part))
    return found


@every_estimator
def test_the_loss_goes_on(name):
    model = MAKERS[name]().set_params(max_epochs=12)
    # A prior memorizes few series: of more, new ones have nearly the same loss.
    n_samples = 160 if name in {"maskgit", "autoregressive"} else 40
    loss = GOES_ON.get(name, "train_loss")
    last = model.fit(*waves(n_samples)).history_[loss].iloc[-1]
    fresh = clone(model).fit(*new_waves()).history_[loss].iloc[0]
    first = model.fit(*new_waves()).history_[loss].iloc[0]
    assert first < fresh
    if name not in SELF_SUPERVISED:
        assert abs(first - last) < 0.3 * (fresh - last)
    assert model.n_iter_ == len(model.history_) == 12


@every_estimator
def test_what_is_kept_without_epochs(name):
    model = MAKERS[name]().fit(*waves())
    before, arrays = tensors(model), learned_arrays(model)
    X, y = new_waves()
    model.set_params(max_epochs=0).fit(7 * X + 100, y)
    # A VAE has the variance that is best for the data.
    assert changed_tensors(before, model) <= {"log_variance"}
    assert pickle.dumps(learned_arrays(model)) == pickle.dumps(arrays)
    assert model.n_iter_ == 0


@every_estimator
def test_the_first_fit_and_that_of_a_clone_are_fresh(name):
    X, y = waves()
    model = MAKERS[name]().fit(*new_waves()).fit(X, y)
    fresh = clone(model).fit(X, y)
    cold = clone(model).set_params(warm_start=False).fit(X, y)
    assert not changed_tensors(tensors(fresh), cold)
    assert changed_tensors(tensors(fresh), model)
    assert not changed_tensors(tensors(cold), cold.fit(X, y))


def opened_from_file(model, folder):
    model.save(folder / "model.safetensors")
    return sktsrep.load(folder / "model.safetensors")


def unpickled(model, folder):
    return pickle.loads(pickle.dumps(model))


@every_estimator
@pytest.mark.parametrize("opened", [opened_from_file, unpickled])
def test_what_is_opened_goes_on_alike(name, opened, tmp_path):
    model = MAKERS[name]().fit(*waves())
    again = opened(model, tmp_path).fit(*new_waves())
    assert not changed_tensors(tensors(model.fit(*new_waves())), again)


@pytest.mark.parametrize("name", ["encoder", "sampler"])
def test_files_of_older_versions_go_on(name):
    path = Path(__file__).parent / "files" / f"{name}_0.1.0.safetensors"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", InconsistentVersionWarning)
        model = sktsrep.load(path)
    assert model.warm_start is False
    before = tensors(model)
    model.set_params(warm_start=True, max_epochs=0).fit(*waves(n_timepoints=24))
    assert not changed_tensors(before, model)
    model.set_params(hidden_dim=12)
    with pytest.raises(ValueError, match="but hidden_dim would make another one"):
        model.fit(*waves(n_timepoints=24))


@every_estimator
def test_a_fit_that_fails_changes_nothing(name):
    model = MAKERS[name]().set_params(max_epochs=2).fit(*waves())
    before, arrays = tensors(model), learned_arrays(model)
    with pytest.raises(RuntimeError, match="failed in epoch 1"):
        model.set_params(callbacks=[Fail()]).fit(*new_waves())
    assert not changed_tensors(before, model)
    assert pickle.dumps(learned_arrays(model)) == pickle.dumps(arrays)


@every_estimator
def test_samples_must_have_the_same_shape(name):
    model = MAKERS[name]().fit(*waves())
    before = pickle.dumps(model)
    for X, y in (waves(n_timepoints=49), waves(n_channels=2)):
        with pytest.raises(ValueError, match=r"is expecting"):
            model.fit(X, y)
    assert pickle.dumps(model) == before


@pytest.mark.parametrize(
    ("name", "parameter", "value"),
    [
        ("encoder", "hidden_dim", 16),
        ("encoder", "n_blocks", 2),
        ("encoder", "max_tokens", 4),
        ("encoder", "n_fft", 16),
        ("encoder", "hop_length", 1),
        ("encoder", "latent_dim", 5),
        ("tokenizer", "hidden_dim", 16),
        ("tokenizer", "quantizer", EMACodebook(9, dim=4)),
        ("tokenizer", "quantizer", "residual_vq"),
        ("fsq", "quantizer", FSQ((3, 4), dim=4)),
        ("vae", "latent_dim", 4),
        ("maskgit", "hidden_dim", 16),
        ("maskgit", "n_heads", 4),
        ("autoregressive", "n_layers", 2),
    ],
)
def test_parameters_that_shape_the_network_must_not_change(name, parameter, value):
    model = MAKERS[name]().fit(*waves())
    model.set_params(**{parameter: value})
    before = pickle.dumps(model)
    with pytest.raises(ValueError, match=f"before, but {parameter}( |, .*)would make"):
        model.fit(*new_waves())
    assert pickle.dumps(model) == before


class Line(TrainingModule):
    """A network that does not know what its parameters are called."""

    def __init__(self, n_inputs, n_layers=1):
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(n_inputs, 1) for _ in range(n_layers))


@pytest.mark.parametrize("trained", [(3, 1), (2, 2)])
def test_a_network_refuses_tensors_of_another(trained):
    with pytest.raises(ValueError, match="but other parameters would make another"):
        Line(2, 1).go_on(Line(*trained))
    with pytest.raises(ValueError, match="but other parameters would make another"):
        Line(*trained).go_on(Line(2, 1))


def test_other_parameters_may_change():
    tokenizer = tiny_tokenizer(ssl=None, n_fft="auto", **WARM).fit(*waves())
    others = {"ssl": "simclr", "n_fft": 8, "lr": 1e-4, "shift_probability": 0}
    tokenizer.set_params(**others).fit(*new_waves())
    assert "contrastive_loss" in tokenizer.history_


@pytest.mark.parametrize("early_stopping", [1, True])
def test_early_stopping(early_stopping):
    model = tiny_vae(early_stopping=early_stopping, max_epochs=30, lr=0.05, **WARM)
    X, y = new_waves()
    before = tensors(model.fit(*waves()))
    assert changed_tensors(before, model.fit(X, y))
    assert "valid_loss" in model.history_


# ----------------------------------------------------------------- encoder and codebook


def test_the_target_network_starts_from_the_trained_encoder():
    network = KeepNetwork()
    model = tiny_encoder(ssl="byol", **WARM).fit(*waves())
    trained = {k: v.clone() for k, v in model.net_.module_.encoder.state_dict().items()}
    model.set_params(callbacks=[network]).fit(*new_waves())
    target = network.start.target.module[0].state_dict()
    assert all(target[name].equal(trained[name]) for name in trained)


def test_averages_of_a_trained_codebook_move_slowly():
    quantizer = ResidualQuantizer(lambda: EMAQuantizer(4, dim=2, decay=0.9), depth=2)
    quantizer.go_on()
    quantizer(torch.randn(50, 2, 3, generator=torch.Generator().manual_seed(0)))
    for part in quantizer.quantizers:
        assert (part.counts > 0.9 - 1e-6).all()  # they were 1


def test_the_size_of_the_codebook_stays():
    tokenizer = tiny_tokenizer(quantizer="ema_codebook", ssl=None, **WARM)
    codebook = tokenizer.fit(*waves(n_timepoints=8)).codebook_
    assert len(codebook) == 128
    tokenizer.set_params(max_epochs=0).fit(*waves(500, n_timepoints=8))
    np.testing.assert_array_equal(tokenizer.codebook_, codebook)


def test_levels_of_windows_stay():
    rng = np.random.default_rng(0)
    walk = rng.normal(size=3000).cumsum()
    X = Windows(length=32, step=16).fit_transform(walk)
    tokenizer = tiny_tokenizer(**WARM).fit(X[:100])
    levels, tokens = tokenizer.level_codebook_, tokenizer.encode(X)
    assert levels is not None
    tokenizer.set_params(max_epochs=0).fit(X[100:])
    np.testing.assert_array_equal(tokenizer.level_codebook_, levels)
    np.testing.assert_array_equal(tokenizer.encode(X), tokens)


@pytest.mark.parametrize("name", ["encoder", "tokenizer", "vae", "maskgit", "fcn"])
def test_lists_of_shorter_series(name):
    X, y = waves()
    model = MAKERS[name]().fit(X, y)
    model.fit([x[: 30 + i % 10] for i, x in enumerate(X)], y)
    assert model.sample_shape_ == (50,)
    with pytest.raises(ValueError, match="expecting"):
        model.fit([*X, np.ones(51)], np.append(y, 0))


# ------------------------------------------------------------------------------- labels


@pytest.mark.parametrize("name", ["classifier", "fcn", "maskgit", "autoregressive"])
def test_labels_must_be_known(name):
    X, y = waves()
    model = MAKERS[name]().fit(X, np.array(["slow", "fast"])[y])
    with pytest.raises(ValueError, match="previously unseen labels: \\['middle'\\]"):
        model.fit(X, np.where(np.arange(40) < 2, "middle", "slow"))
    model.fit(X, np.full(40, "slow"))
    assert list(model.classes_) == ["fast", "slow"]


@pytest.mark.parametrize("class_weight", [None, "balanced", {0: 2.0, 1: 1.0}])
def test_a_classifier_goes_on_with_fewer_classes(class_weight):
    X, y = waves()
    model = tiny_classifier(class_weight=class_weight, **WARM).fit(X, y)
    encoder = model.encoder_
    model.fit(X[y == 1], y[y == 1])
    assert model.encoder_ is encoder
    assert model.predict_proba(X).shape == (40, 2)
    model.fit(X, np.where(y == 1, 1, -1))  # -1 still means unlabeled
    assert list(model.classes_) == [0, 1]
    with pytest.raises(ValueError, match="y has no labels"):
        model.fit(X, np.full(40, -1))


# ----------------------------------------------------------------------------- samplers


@pytest.mark.parametrize("name", ["maskgit", "autoregressive"])
def test_a_sampler_keeps_its_tokenizer(name):
    model = MAKERS[name]().fit(*waves())
    tokenizer, imputer = model.tokenizer_, model.imputer_
    before = pickle.dumps(tokenizer)
    X, _ = new_waves()
    model.fit(X[:10], np.zeros(10, dtype=int))
    assert model.tokenizer_ is tokenizer
    assert model.imputer_ is imputer
    assert pickle.dumps(tokenizer) == before
    np.testing.assert_array_equal(model.class_prior_, [1, 0])
    assert model.sample(3, y=1).shape == (3, 50)
    X_resampled, _ = model.fit_resample(X[:10], np.arange(10) < 4)
    assert len(X_resampled) == 12


@pytest.mark.parametrize("labeled", [False, True])
def test_a_sampler_goes_on_with_labels_or_without(labeled):
    X, y = waves()
    model = MAKERS["maskgit"]().fit(X, y if labeled else None)
    message = "y is missing" if labeled else "y was given"
    with pytest.raises(ValueError, match=message):
        model.fit(X, None if labeled else y)
    model.fit(X, y if labeled else None)


def test_a_sampler_of_tokens_keeps_the_number_of_codes():
    tokens = np.arange(120).reshape(10, 12) % 4
    model = tiny_autoregressive(**WARM).fit(tokens)
    model.fit(tokens % 2)
    assert model.n_codes_ == 4
    with pytest.raises(ValueError, match=r"Tokens must lie in \[0, 4\)"):
        model.fit(tokens + 1)
    with pytest.raises(ValueError, match="but n_codes would make another one"):
        model.set_params(n_codes=6).fit(tokens)


@pytest.mark.parametrize("enough", [10, 1000])
def test_more_series_do_not_change_how_codes_are_scored(enough, monkeypatch):
    X, y = waves()
    monkeypatch.setattr(samplers.base, "_ENOUGH_TO_TIE", enough)
    model = MAKERS["maskgit"]().fit(X, y)
    monkeypatch.setattr(samplers.base, "_ENOUGH_TO_TIE", 1010 - enough)
    scores = model.fit(X, y).net_.module_.transformer.head.scores[0]
    assert isinstance(scores, CodeScores) == (enough == 10)


def test_a_sampler_of_unequal_series_goes_on_with_equal_ones():
    X, y = waves()
    unequal = [x[: 30 + 10 * (i % 2)] for i, x in enumerate(X)]
    model = MAKERS["maskgit"]().fit(unequal, y)
    assert np.isnan(model.sample(4, y=0)).any()
    model.fit([x[:40] for x in X[y == 1]], y[y == 1])
    assert not np.isnan(model.sample(4, y=0)).any()
    assert np.isfinite(model.score_samples(unequal)).all()


# -------------------------------------------------------------------------- checkpoints


@pytest.mark.parametrize("name", ["tokenizer", "byol", "maskgit", "classifier"])
def test_a_stopped_fit_goes_on_with_the_same_bits(name, tmp_path, monkeypatch):
    monkeypatch.setattr(_checkpoint, "_SECONDS", 0.0)
    model = MAKERS[name]().fit(*waves()).set_params(max_epochs=4)
    expected = pickle.loads(pickle.dumps(model)).fit(*new_waves())
    model.set_params(checkpoint=tmp_path / "checkpoint", callbacks=[StopAt(3)])
    with pytest.raises(PowerCut):
        model.fit(*new_waves())
    model.set_params(callbacks=None).fit(*new_waves())
    assert not changed_tensors(tensors(expected), model)


def test_a_checkpoint_is_of_one_start(tmp_path):
    X, y = waves()
    model = tiny_encoder(checkpoint=tmp_path / "checkpoint", **WARM).fit(X, y)
    with pytest.raises(ValueError, match="of a fit with other data or parameters"):
        model.fit(X, y)
    clone(model).set_params(warm_start=False).fit(X, y)  # starts alike
    model.set_params(checkpoint=tmp_path / "second").fit(X, y)
