"""Data larger than memory: parts, memory maps, and where results go."""

import errno
import gc
import os
import tracemalloc
import weakref

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn import config_context

from sktsrep import _storage
from sktsrep._gaps import bridge, channel_levels, channel_moments, observed_lengths
from tests.estimators import (
    PowerCut,
    StopAt,
    tiny_classifier,
    tiny_encoder,
    tiny_fcn,
    tiny_sampler,
    tiny_tokenizer,
    tiny_vae,
    waves,
)

MAKERS = [
    tiny_encoder,
    tiny_vae,
    tiny_tokenizer,
    lambda: tiny_tokenizer(output="tokens"),
]


@pytest.fixture(params=MAKERS, ids=["encoder", "vae", "tokenizer", "tokens"])
def fitted(request):
    return request.param().fit(waves(n_samples=40)[0])


def test_results_go_where_they_are_sent(fitted, tmp_path, monkeypatch):
    monkeypatch.setattr("sktsrep._storage._ROWS_AT_ONCE", 16)
    X, _ = waves(n_samples=40)
    np.save(tmp_path / "X.npy", X)
    mapped = np.load(tmp_path / "X.npy", mmap_mode="r")
    expected = fitted.transform(X)
    out = np.lib.format.open_memmap(
        tmp_path / "Z.npy", "w+", expected.dtype, expected.shape
    )
    assert fitted.transform(mapped, out=out) is out
    np.testing.assert_array_equal(np.load(tmp_path / "Z.npy"), expected)
    tensor = torch.empty(expected.shape, dtype=torch.from_numpy(expected).dtype)
    fitted.transform(pd.DataFrame(X), out=tensor.numpy())
    np.testing.assert_array_equal(tensor.numpy(), expected)


def test_results_need_room(fitted):
    X, _ = waves(n_samples=40)
    for out in (np.empty((40, 1)), np.empty((39, fitted.transform(X).shape[1])), []):
        with pytest.raises(ValueError, match="out must be an array of shape"):
            fitted.transform(X, out=out)


def test_results_need_a_dtype_that_holds_them(fitted):
    X, _ = waves(n_samples=40)
    expected = fitted.transform(X)
    for out in (np.empty(expected.shape, bool), torch.empty(expected.shape)):
        with pytest.raises(ValueError, match="out must be able to hold"):
            fitted.transform(X, out=out)
    out = np.empty(expected.shape)
    out.flags.writeable = False
    with pytest.raises(ValueError, match="out is read-only"):
        fitted.transform(X, out=out)


def test_parts_may_be_empty(fitted):
    X, _ = waves(n_samples=40)
    none, some = fitted.transform_batches([X[:0], X[:3]])
    assert none.shape == (0, some.shape[1])
    assert none.dtype == some.dtype


def test_parts_are_transformed_one_at_a_time(fitted):
    X, _ = waves(n_samples=40)
    read = []

    def parts():
        for i in range(0, 40, 16):
            read.append(i)
            yield X[i : i + 16]

    batches = fitted.transform_batches(parts())
    first = next(batches)
    assert read == [0]
    together = np.concatenate([first, *batches])
    np.testing.assert_array_equal(together, fitted.transform(X))


def test_samples_come_in_parts():
    X, y = waves()
    sampler = tiny_sampler(tiny_tokenizer()).fit(X, y)
    parts = list(sampler.sample_batches(25, 10, random_state=0))
    assert [len(part) for part in parts] == [10, 10, 5]
    assert not np.array_equal(parts[0], parts[1])
    again = next(sampler.sample_batches(1000, 10, random_state=0))
    np.testing.assert_array_equal(again, parts[0])
    labels = np.repeat(sampler.classes_, [13, 12])
    parts = list(sampler.sample_batches(25, 10, y=labels))
    assert sum(map(len, parts)) == 25
    for arguments in ({"y": "other"}, {"y": labels[1:]}):
        with pytest.raises(ValueError, match="y "):
            sampler.sample_batches(25, **arguments)


def test_held_out_series_take_no_second_copy():
    from sktsrep._training import Rows

    series = torch.zeros(100, 1, 8)
    rows = Rows(series).where(torch.arange(100) > 9)
    assert rows.tensors[0] is series
    assert len(rows) == 90


# ------------------------------------------------- training data in a temporary file

TRAINED = {
    "encoder": tiny_encoder,
    "tokenizer": tiny_tokenizer,
    "vae": tiny_vae,
    "classifier": tiny_classifier,
    "fcn": tiny_fcn,
}


@pytest.fixture
def maps(monkeypatch):
    """Weak references to the files that are mapped from now on."""
    made = []

    class NotedMap(np.memmap):
        def __new__(cls, *args, **kwargs):
            array = super().__new__(cls, *args, **kwargs)
            made.append(weakref.ref(array._mmap))
            return array

    monkeypatch.setattr(np, "memmap", NotedMap)
    monkeypatch.setattr(_storage, "_ROWS_AT_ONCE", 16)
    return made


def are_gone(maps):
    gc.collect()
    return all(ref() is None for ref in maps)


def with_gaps(X):
    X = X.copy()
    X[3, 5:9] = X[30, 20:] = np.nan
    return X


def unequal(X):
    return [x[: 50 - 7 * (i % 3)] for i, x in enumerate(X)]


def assert_same_fit(first, second):
    one, two = first.net_.module_.state_dict(), second.net_.module_.state_dict()
    for name, tensor in one.items():
        assert torch.equal(tensor, two[name]), name
    columns = first.history_.columns.drop("dur")
    np.testing.assert_array_equal(first.history_[columns], second.history_[columns])


@pytest.mark.parametrize("name", TRAINED)
@pytest.mark.parametrize("change", [np.float32, np.asarray, with_gaps, unequal])
def test_a_file_gives_the_same_bits_as_memory(name, change, maps):
    X, y = waves(n_samples=40)
    X = change(X)
    in_memory = TRAINED[name](validation_fraction=0.2).fit(X, y)
    assert not maps
    with config_context(working_memory=0):
        in_file = TRAINED[name](validation_fraction=0.2).fit(X, y)
    assert maps
    assert are_gone(maps)
    assert_same_fit(in_memory, in_file)
    if name == "classifier":
        in_memory, in_file = in_memory.encoder_, in_file.encoder_
        assert_same_fit(in_memory, in_file)
    np.testing.assert_array_equal(in_memory.mean_, in_file.mean_)
    np.testing.assert_array_equal(in_memory.scale_, in_file.scale_)


@pytest.mark.parametrize("error", [PowerCut, KeyboardInterrupt])
def test_the_file_goes_when_a_fit_fails(error, maps):
    class Failing(StopAt):
        def on_batch_end(self, net, **kwargs):
            raise error

    X, _ = waves()
    with config_context(working_memory=0), pytest.raises(error):
        tiny_encoder(callbacks=[Failing(1)]).fit(X)
    assert maps
    assert are_gone(maps)


def test_an_interrupted_fit_keeps_no_file(maps):
    class Interrupt(StopAt):
        def on_batch_end(self, net, **kwargs):
            if len(net.history) == self.epoch:
                raise KeyboardInterrupt

    X, _ = waves()
    encoder = tiny_encoder(callbacks=[Interrupt(2)])
    with (
        config_context(working_memory=0),
        pytest.warns(UserWarning, match="interrupted"),
    ):
        encoder.fit(X)
    assert encoder.n_iter_ == 1
    assert are_gone(maps)


def test_a_killed_fit_goes_on_with_another_budget(tmp_path):
    X, _ = waves()
    settings = {"max_epochs": 4, "checkpoint": tmp_path / "checkpoint"}
    with pytest.raises(PowerCut):
        tiny_encoder(callbacks=[StopAt(3)], **settings).fit(X)
    with config_context(working_memory=0):
        again = tiny_encoder(**settings).fit(X)
    assert_same_fit(again, tiny_encoder(max_epochs=4).fit(X))


def test_a_full_disk_is_told_before_it_is_written(monkeypatch):
    def full(*args):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full, raising=False)
    with (
        config_context(working_memory=0),
        pytest.raises(OSError, match="Set the environment variable TMPDIR"),
    ):
        tiny_encoder().fit(waves()[0])


def test_a_fit_of_a_memory_map_makes_no_large_array(tmp_path):
    X = waves(n_samples=20_000, n_timepoints=64, dtype=np.float32)[0]
    X[1, 5:9] = np.nan
    np.save(tmp_path / "X.npy", X)
    mapped = np.load(tmp_path / "X.npy", mmap_mode="r")
    tracemalloc.start()
    try:
        with config_context(working_memory=0):
            tiny_encoder(max_epochs=0).fit(mapped)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    # Arrays of numpy: counts of every series, and copies of some of them.
    assert peak < 0.6 * X.nbytes


@pytest.mark.parametrize("n_rows", [1, 7, 100])
def test_blocks_of_rows_give_what_the_whole_gives(n_rows, monkeypatch):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(30, 2, 12))
    X[rng.random(X.shape) < 0.2] = np.nan
    X[::3, :, 8:] = np.nan
    X[5, 1] = np.nan
    X[:, 0, 0] = 1.0
    whole = bridge(X), observed_lengths(X), channel_levels(X)
    series = torch.from_numpy(whole[0])
    monkeypatch.setattr(_storage, "_ROWS_AT_ONCE", n_rows)
    parts = bridge(X), observed_lengths(X), channel_levels(X)
    for one, two in zip(whole, parts, strict=True):
        np.testing.assert_allclose(one, two, rtol=1e-12)
    known = np.arange(12) < whole[1][:, None]
    values = whole[0].swapaxes(1, 2)[known]  # (n_values, n_channels)
    mean, scale = channel_moments(series, whole[1])
    np.testing.assert_allclose(mean[:, 0], values.mean(axis=0))
    np.testing.assert_allclose(scale[:, 0], values.std(axis=0))


def test_a_series_without_a_value_is_found_in_any_block(monkeypatch):
    monkeypatch.setattr(_storage, "_ROWS_AT_ONCE", 4)
    X = np.ones((20, 5))
    X[13] = np.nan
    with pytest.raises(ValueError, match="no observed value in row 13"):
        observed_lengths(X)
