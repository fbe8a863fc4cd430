"""Data larger than memory: parts, memory maps, and where results go."""

import numpy as np
import pandas as pd
import pytest
import torch

from tests.estimators import tiny_encoder, tiny_sampler, tiny_tokenizer, tiny_vae, waves

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
    monkeypatch.setattr("sktsrep._spectral.SERIES_AT_ONCE", 16)
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
