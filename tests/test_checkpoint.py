"""Trainings that are killed, and go on: the same bits in the end."""

import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import torch
from sklearn.base import clone

import sktsrep
from sktsrep import _checkpoint
from tests.estimators import (
    PowerCut,
    StopAt,
    StopAtStep,
    tiny_autoregressive,
    tiny_classifier,
    tiny_encoder,
    tiny_fcn,
    tiny_sampler,
    tiny_tokenizer,
    tiny_vae,
    waves,
)

LONG = {"max_epochs": 6, "random_state": 0}
MAKERS = {
    "tokenizer": lambda: tiny_tokenizer(**LONG),
    "residual": lambda: tiny_tokenizer(quantizer="residual_vq", **LONG),
    "byol": lambda: tiny_encoder(ssl="byol", **LONG),
    "vae": lambda: tiny_vae(**LONG),
    "maskgit": lambda: tiny_sampler(tiny_tokenizer(random_state=0), **LONG),
    "autoregressive": lambda: tiny_autoregressive(tiny_tokenizer(), **LONG),
    "classifier": lambda: tiny_classifier(
        tiny_encoder(random_state=0), freeze_epochs=4, **LONG
    ),
    "fcn": lambda: tiny_fcn(**LONG),
}


@pytest.fixture(autouse=True)
def every_epoch(monkeypatch):
    monkeypatch.setattr(_checkpoint, "_SECONDS", 0.0)


def assert_same_training(first, second):
    one, two = first.net_.module_.state_dict(), second.net_.module_.state_dict()
    assert one.keys() == two.keys()
    for name, tensor in one.items():
        assert torch.equal(tensor, two[name]), name
    columns = first.history_.columns.drop("dur")
    np.testing.assert_array_equal(first.history_[columns], second.history_[columns])
    assert first.n_iter_ == second.n_iter_


@pytest.mark.parametrize("name", MAKERS)
@pytest.mark.parametrize("stops", [(2,), (4, 5)])
def test_a_stopped_training_ends_like_one_that_was_not(name, stops, tmp_path):
    X, y = waves(n_samples=60)
    path = tmp_path / "checkpoint"
    for epoch in stops:
        stopped = MAKERS[name]().set_params(
            checkpoint=path, callbacks=[StopAt(epoch)], batch_size=16
        )
        with pytest.raises(PowerCut):
            stopped.fit(X, y)
    whole = MAKERS[name]().set_params(checkpoint=path, batch_size=16).fit(X, y)
    expected = MAKERS[name]().set_params(batch_size=16).fit(X, y)
    assert_same_training(whole, expected)


def test_a_training_goes_on_within_an_epoch(tmp_path, monkeypatch):
    monkeypatch.setattr(_checkpoint, "_SECONDS_IN_EPOCH", 0.0)
    X, y = waves(n_samples=60)
    unequal = [x[: 50 - i % 20] for i, x in enumerate(X)]  # batches are drawn and cut
    for name, series in (("tokenizer", unequal), ("fcn", X), ("maskgit", X)):
        path = tmp_path / name
        for n_steps in (3, 5, 1):
            stopped = MAKERS[name]().set_params(
                checkpoint=path, callbacks=[StopAtStep(n_steps)], batch_size=16
            )
            with pytest.raises(PowerCut):
                stopped.fit(series, y)
        whole = MAKERS[name]().set_params(checkpoint=path, batch_size=16)
        expected = MAKERS[name]().set_params(batch_size=16).fit(series, y)
        assert_same_training(whole.fit(series, y), expected)


@pytest.mark.parametrize("make", ["maskgit", "classifier"])
def test_the_first_stage_has_a_checkpoint_of_its_own(make, tmp_path):
    X, y = waves(n_samples=60)
    path = tmp_path / "checkpoint"
    makers = {
        "maskgit": lambda *stop: tiny_sampler(
            tiny_tokenizer(max_epochs=6, callbacks=[*stop]), **LONG
        ),
        "classifier": lambda *stop: tiny_classifier(
            tiny_encoder(max_epochs=6, callbacks=[*stop]), **LONG
        ),
    }
    with pytest.raises(PowerCut):
        makers[make](StopAt(3)).set_params(checkpoint=path).fit(X, y)
    resumed = makers[make](StopAt(4)).set_params(checkpoint=path)
    with pytest.raises(PowerCut):  # the fourth epoch is the first one of this process
        resumed.fit(X, y)
    model = makers[make]().set_params(checkpoint=path).fit(X, y)
    assert_same_training(model, makers[make]().fit(X, y))
    inner = model.tokenizer_ if make == "maskgit" else model.encoder_
    assert inner.checkpoint is None


def test_functions_are_known_by_what_they_do(tmp_path):
    X, _ = waves()

    def model(factor):
        views = ["gauss", lambda x: factor * x]
        return tiny_encoder(
            augmentations=views, checkpoint=tmp_path / "checkpoint", **LONG
        )

    encoder = model(2).fit(X)
    assert_same_training(model(2).set_params(callbacks=[StopAt(1)]).fit(X), encoder)
    with pytest.raises(ValueError, match="other data or parameters"):
        model(3).fit(X)


def test_what_a_killed_writer_left_is_deleted(tmp_path):
    X, _ = waves()
    left = tmp_path / "checkpoint.0123abcd.tmp"
    left.write_bytes(b"half")
    tiny_encoder(checkpoint=tmp_path / "checkpoint", **LONG).fit(X)
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint"]


def test_a_folder_must_be_there(tmp_path):
    X, _ = waves()
    missing = tmp_path / "nowhere" / "checkpoint"
    encoder = tiny_encoder(callbacks=[StopAt(1)], **LONG)
    with pytest.raises(FileNotFoundError, match=r"nowhere'$"):
        encoder.set_params(checkpoint=missing).fit(X)
    with pytest.raises(IsADirectoryError):
        encoder.set_params(checkpoint=tmp_path).fit(X)
    encoder.set_params(checkpoint=None, callbacks=None).fit(X)
    with pytest.raises(FileNotFoundError, match=r"nowhere'$"):
        encoder.save(missing)


@pytest.mark.parametrize("early_stopping", [1, 3])
def test_early_stopping_goes_on_waiting(early_stopping, tmp_path):
    X, _ = waves(n_samples=60)

    def model(**params):
        return tiny_vae(
            max_epochs=40,
            lr=0.05,
            early_stopping=early_stopping,
            random_state=0,
            **params,
        )

    path = tmp_path / "checkpoint"
    expected = model().fit(X)
    assert expected.n_iter_ < 40
    for epoch in range(2, expected.n_iter_, 2):
        with pytest.raises(PowerCut):
            model(checkpoint=path, callbacks=[StopAt(epoch)]).fit(X)
    assert_same_training(model(checkpoint=path).fit(X), expected)


def test_a_finished_training_is_not_repeated(tmp_path):
    X, _ = waves()
    encoder = tiny_encoder(checkpoint=str(tmp_path / "checkpoint"), **LONG).fit(X)
    again = clone(encoder).set_params(callbacks=[StopAt(1)]).fit(X)
    assert_same_training(again, encoder)


def test_other_data_or_parameters_are_refused(tmp_path):
    X, _ = waves()
    encoder = tiny_encoder(checkpoint=tmp_path / "checkpoint", **LONG).fit(X)
    for change in ({"lr": 0.1}, {"random_state": 1}, {"ssl": "simclr"}):
        with pytest.raises(ValueError, match="other data or parameters"):
            clone(encoder).set_params(**change).fit(X)
    with pytest.raises(ValueError, match="other data or parameters"):
        clone(encoder).fit(X[1:])
    clone(encoder).set_params(verbose=1, callbacks=[]).fit(X)  # these change nothing
    (tmp_path / "checkpoint").write_bytes(b"nothing")
    with pytest.raises(ValueError, match=r"is no checkpoint\. Give another path"):
        clone(encoder).fit(X)


@pytest.mark.parametrize("random_state", [None, np.random.RandomState(0)])
def test_random_fits_cannot_go_on(random_state, tmp_path):
    encoder = tiny_encoder(checkpoint=tmp_path / "checkpoint")
    with pytest.raises(ValueError, match="random_state that is an int"):
        encoder.set_params(random_state=random_state).fit(waves()[0])


def test_a_model_with_a_checkpoint_is_saved(tmp_path):
    X, _ = waves()
    encoder = tiny_encoder(checkpoint=tmp_path / "checkpoint", **LONG).fit(X)
    encoder.save(tmp_path / "model")
    opened = sktsrep.load(tmp_path / "model")
    np.testing.assert_array_equal(opened.transform(X), encoder.transform(X))


KILLED = """
import sys
from sktsrep import _checkpoint
from tests.estimators import tiny_tokenizer, waves
_checkpoint._SECONDS = 0.0
X, _ = waves(n_samples=100)
tokenizer = tiny_tokenizer(
    max_epochs=30, batch_size=16, random_state=0, checkpoint=sys.argv[1]
)
tokenizer.fit(X).save(sys.argv[2])
"""


def test_a_killed_process_goes_on(tmp_path):
    paths = [tmp_path / name for name in ("checkpoint", "model", "other", "expected")]
    checkpoint, model, other, expected = paths

    def start(*paths):
        return subprocess.Popen(
            [sys.executable, "-c", KILLED, *map(str, paths)],
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )

    rng = np.random.default_rng(0)
    n_kills = 0
    for _ in range(2):
        before = checkpoint.stat().st_mtime_ns if checkpoint.exists() else None
        process = start(checkpoint, model)
        while process.poll() is None:  # until it has made an epoch
            now = checkpoint.stat().st_mtime_ns if checkpoint.exists() else None
            if now != before:
                break
            time.sleep(0.01)
        time.sleep(rng.uniform(0, 0.5))
        process.send_signal(signal.SIGKILL)
        n_kills += process.wait() == -signal.SIGKILL
    assert n_kills > 0
    assert start(checkpoint, model).wait() == 0
    assert start(other, expected).wait() == 0
    one, two = sktsrep.load(model), sktsrep.load(expected)
    assert_same_training(one, two)
