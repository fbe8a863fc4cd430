"""Saved estimators applied to blocks: bits, frames, and a cluster of two workers."""

import os
import pickle
import signal
import time
from concurrent.futures import ThreadPoolExecutor

import cloudpickle
import dask.array as da
import distributed
import numpy as np
import pandas as pd
import pytest

from sktsrep import STFTTransformer, Windows, _blocks, block_function
from tests.estimators import (
    tiny_classifier,
    tiny_encoder,
    tiny_sampler,
    tiny_tokenizer,
    tiny_vae,
    waves,
)

SHORT = {"max_epochs": 0}


@pytest.fixture(scope="module")
def encoder():
    return tiny_encoder(**SHORT).fit(waves()[0])


@pytest.fixture(scope="module")
def path(encoder, tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "model.safetensors"
    encoder.save(path)
    return path


# --------------------------------------------------------------------- one process


@pytest.mark.parametrize(
    ("estimator", "method"),
    [
        (tiny_encoder(**SHORT), "transform"),
        (tiny_vae(**SHORT), "score_samples"),
        (tiny_tokenizer(**SHORT, output="tokens"), "transform"),
        (tiny_tokenizer(**SHORT), "encode"),
        (tiny_tokenizer(**SHORT), "reconstruct"),
        (tiny_tokenizer(**SHORT), "score_timepoints"),
        (tiny_classifier(tiny_encoder(**SHORT), **SHORT), "predict"),
        (tiny_classifier(tiny_encoder(**SHORT), **SHORT), "predict_proba"),
        (tiny_sampler(tiny_tokenizer(**SHORT), **SHORT), "score_samples"),
        (STFTTransformer(flatten=False, device="cpu"), "transform"),
    ],
    ids=lambda value: value if isinstance(value, str) else type(value).__name__,
)
@pytest.mark.parametrize("n_channels", [None, 2])
def test_same_bits_in_any_block(estimator, method, n_channels, tmp_path):
    X, y = waves(n_channels=n_channels, dtype=np.float32)
    has_labels = hasattr(estimator, "predict_proba")
    estimator.fit(X, y if has_labels else None).save(tmp_path / "model.safetensors")
    function = block_function(tmp_path / "model.safetensors", method)
    blocks = [function(X[rows]) for rows in (slice(0), slice(3), slice(3, None))]
    expected = getattr(estimator, method)(X)
    assert {block.dtype for block in blocks} == {expected.dtype}
    np.testing.assert_array_equal(np.concatenate(blocks), expected)
    assert blocks[0].shape == (0, *expected.shape[1:])


def test_no_series_of_any_shape(encoder, path):
    n_features = len(encoder.get_feature_names_out())
    for shape in [(0,), (0, 0), (0, 50), (0, 0, 0)]:
        empty = block_function(path)(np.empty(shape, dtype=np.float32))
        assert (empty.shape, empty.dtype) == ((0, n_features), np.float32)


def test_frames_stay_frames(encoder, path, tmp_path):
    X, y = waves()
    frame = pd.DataFrame(X, index=[f"series {i}" for i in range(len(X))])
    embedding = block_function(path)(frame)
    assert list(embedding.columns) == list(encoder.get_feature_names_out())
    assert embedding.index.equals(frame.index)
    np.testing.assert_array_equal(embedding, encoder.transform(X))
    for nothing in (frame.iloc[:0], pd.DataFrame()):
        empty = block_function(path)(nothing)
        assert len(empty) == 0
        assert empty.dtypes.equals(embedding.dtypes)

    classifier = tiny_classifier(encoder, **SHORT).fit(X, y)
    classifier.save(tmp_path / "classifier.safetensors")
    classes = block_function(tmp_path / "classifier.safetensors", "predict")(frame)
    assert (classes.name, list(classes)) == ("predict", list(classifier.predict(X)))
    odds = block_function(tmp_path / "classifier.safetensors", "predict_proba")(frame)
    assert list(odds.columns) == list(classifier.classes_)


def test_frames_have_two_axes(tmp_path):
    STFTTransformer(device="cpu", flatten=False).fit(waves()[0]).save(tmp_path / "file")
    with pytest.raises(ValueError, match="which is no DataFrame"):
        block_function(tmp_path / "file")(pd.DataFrame(waves()[0]))


def test_output_containers_are_not_asked_for(encoder, tmp_path):
    encoder = pickle.loads(pickle.dumps(encoder)).set_output(transform="pandas")
    encoder.save(tmp_path / "file")
    assert isinstance(block_function(tmp_path / "file")(waves()[0]), np.ndarray)


def test_errors_name_what_is_wrong(path, tmp_path):
    X, _ = waves()
    with pytest.raises(ValueError, match="method must be one of"):
        block_function(path, "fit")
    with pytest.raises(ValueError, match="SSLEncoder, which has no predict"):
        block_function(path, "predict")(X)
    with pytest.raises(FileNotFoundError, match="must see the file under this path"):
        block_function(tmp_path / "other")(X)
    with pytest.raises(ValueError, match="expecting"):
        block_function(path)(X[:, 1:])
    Windows(10).fit(X[0]).save(tmp_path / "windows")
    with pytest.raises(ValueError, match="Windows, which has no transform for series"):
        block_function(tmp_path / "windows")(X)


def test_pickles_hold_no_model(path, monkeypatch):
    embed = block_function(path)
    monkeypatch.chdir(path.parent)
    assert pickle.dumps(block_function(path.name)) == pickle.dumps(embed)
    assert len(pickle.dumps(embed)) < 500
    again = pickle.loads(pickle.dumps(embed))
    assert repr(again) == repr(embed)
    np.testing.assert_array_equal(again(waves()[0]), embed(waves()[0]))


def test_a_file_is_opened_once_by_all_threads(path, monkeypatch):
    opened = []

    def load(path):
        opened.append(path)
        time.sleep(0.05)  # the other threads come meanwhile

    monkeypatch.setattr(_blocks, "load", load)
    _blocks._load.cache_clear()
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(_blocks._estimator, [path] * 8))
    assert len(opened) == 1
    _blocks._load.cache_clear()


def test_a_file_that_was_replaced_is_opened_anew(encoder, tmp_path):
    X, _ = waves()
    embed = block_function(tmp_path / "file")
    encoder.save(tmp_path / "file")
    np.testing.assert_array_equal(embed(X), encoder.transform(X))
    other = tiny_encoder(**{**SHORT, "random_state": 1, "latent_dim": 6}).fit(X)
    other.save(tmp_path / "file")
    np.testing.assert_array_equal(embed(X), other.transform(X))


# ----------------------------------------------------------------- two processes


@pytest.fixture(scope="module")
def client(tmp_path_factory):
    """Two worker processes on this machine; dask spawns them."""
    with (
        distributed.LocalCluster(
            n_workers=2,
            threads_per_worker=1,
            host="127.0.0.1",
            dashboard_address="127.0.0.1:0",  # any free port
            local_directory=tmp_path_factory.mktemp("dask"),
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        yield client


def mapped(function, X):
    """The dask array of a function of series, which it gives a row each."""
    empty = function(np.empty((0,), X.dtype))
    axes = list(range(1, X.ndim - empty.ndim + 1))
    chunks = (X.chunks[0], *((size,) for size in empty.shape[1:]))
    return X.map_blocks(function, drop_axis=axes, chunks=chunks, meta=empty)


def in_file(folder, shape):
    """Series in a file, and the dask array that reads them from there."""
    X = np.lib.format.open_memmap(folder / "X.npy", "w+", np.float32, shape)
    path, n_rows = os.fspath(folder / "X.npy"), shape[0] // 20

    def read(block_id):
        start = block_id[0] * n_rows
        return np.array(np.load(path, mmap_mode="r")[start : start + n_rows])

    chunks = ((n_rows,) * 20, *((size,) for size in shape[1:]))
    return X, da.map_blocks(read, chunks=chunks, dtype=X.dtype, meta=X[:0])


def test_a_cluster_gives_the_same_bits(client, encoder, path):
    X, _ = waves(n_samples=200, dtype=np.float32)
    parts = da.from_array(X, chunks=(30, -1))
    Z = mapped(block_function(path), parts)
    assert Z.dtype == np.float32
    expected = encoder.transform(X)
    np.testing.assert_array_equal(client.compute(Z).result(120), expected)
    with_channel = mapped(block_function(path), parts[:, None])
    np.testing.assert_array_equal(client.compute(with_channel).result(120), expected)
    # Once by each of the two, however many blocks there are.
    opened = client.run(lambda: _blocks._load.cache_info().misses)
    assert max(opened.values()) == 1


def test_graphs_hold_no_model(path, tmp_path):
    larger = tiny_encoder(**{**SHORT, "hidden_dim": 128}).fit(waves()[0])
    larger.save(path.with_name("other.safetensors"))
    _, X = in_file(tmp_path, (1000, 50))
    sizes = [
        len(cloudpickle.dumps(mapped(block_function(file), X).dask))
        for file in (path, path.with_name("other.safetensors"))
    ]
    assert path.with_name("other.safetensors").stat().st_size > 300_000
    assert max(sizes) < 20_000
    assert abs(sizes[0] - sizes[1]) < 100


def peak_memory():
    """Most bytes that this process has had in memory."""
    with open("/proc/self/status") as file:
        status = dict(line.split(":", 1) for line in file)
    return 1024 * int(status["VmHWM"].split()[0])


@pytest.mark.skipif(not os.path.exists("/proc/self/status"), reason="asks Linux")
def test_workers_hold_no_more_than_their_blocks(client, tmp_path):
    X, parts = in_file(tmp_path, (20_000, 1024))
    STFTTransformer(flatten=True, device="cpu").fit(X[:2]).save(tmp_path / "file")
    spectrograms = mapped(block_function(tmp_path / "file"), parts)
    client.compute(spectrograms[:100].sum()).result(120)
    before = client.run(peak_memory)
    client.compute(spectrograms.sum()).result(120)
    after = client.run(peak_memory)
    grown = [after[worker] - before[worker] for worker in before]
    assert 0 < max(grown) < spectrograms.nbytes / 4


def test_frames_of_dask(client, encoder, path):
    pytest.importorskip("pyarrow", reason="dask.dataframe needs it")
    import dask.dataframe

    X, _ = waves()
    frame = pd.DataFrame(X, index=np.arange(40) + 7)
    embed = block_function(path)
    parts = dask.dataframe.from_pandas(frame, npartitions=3)
    Z = parts.map_partitions(embed, meta=embed(frame.iloc[:0]))
    expected = pd.DataFrame(encoder.transform(X), frame.index, Z.columns)
    pd.testing.assert_frame_equal(client.compute(Z).result(120), expected)
    inferred = parts.map_partitions(embed)
    assert inferred.dtypes.equals(expected.dtypes)


def test_blocks_of_a_killed_worker_are_redone(client, encoder, path, tmp_path):
    X, _ = waves(n_samples=200)
    killed = tmp_path / "killed"

    def kill_once(block, block_id):
        if block_id[0] == 5 and not killed.exists():
            killed.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return block

    parts = da.from_array(X, chunks=(20, -1)).map_blocks(kill_once, meta=X[:0])
    Z = client.compute(mapped(block_function(path), parts)).result(120)
    assert killed.exists()
    np.testing.assert_array_equal(Z, encoder.transform(X))
