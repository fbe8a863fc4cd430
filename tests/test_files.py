"""Models as files that run no code."""

import copy
import functools
import json
import os
import pickle
import sys
import time
import warnings
from importlib.util import find_spec
from pathlib import Path

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
from sklearn.base import BaseEstimator, clone
from sklearn.exceptions import InconsistentVersionWarning, NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from skorch.callbacks import Callback
from torch import nn

import sktsrep
from sktsrep import (
    AnomalyDetector,
    PretrainedEncoder,
    STFTTransformer,
    Windows,
    _files,
    _plain,
    _versions,
)
from sktsrep.augmentations import flip, gaussian_noise
from sktsrep.imputation import GaussianImputer
from sktsrep.networks import TrainingModule
from sktsrep.nn import remake
from sktsrep.objectives import VICReg
from sktsrep.quantizers import FSQ, GradientCodebook, ResidualVQ

FILES = Path(__file__).parent / "files"
SHORT = {"max_epochs": 1}
MAKERS = {
    "stft": lambda: STFTTransformer(device="cpu"),
    "pretrained": lambda: PretrainedEncoder(scales=(64,), device="cpu"),
    "windows": lambda: Windows(16),
    "imputer": GaussianImputer,
    "tokenizer": lambda: tiny_tokenizer(**SHORT),
    "residual_tokenizer": lambda: tiny_tokenizer(
        ssl=VICReg(projector_dim=8),
        quantizer=ResidualVQ(2, GradientCodebook(8, dim=4)),
        **SHORT,
    ),
    "fsq_tokenizer": lambda: tiny_tokenizer(
        ssl=None, quantizer=FSQ((4, 3), dim=4), output="tokens", **SHORT
    ),
    "encoder": lambda: tiny_encoder(ssl="byol", **SHORT),
    "augmented": lambda: tiny_encoder(
        augmentations=["warp", flip, functools.partial(gaussian_noise, scale=0.1)],
        **SHORT,
    ),
    "vae": lambda: tiny_vae(**SHORT),
    "classifier": lambda: tiny_classifier(tiny_encoder(**SHORT)),
    "frozen": lambda: tiny_classifier(
        FrozenEstimator(tiny_encoder(**SHORT).fit(waves()[0])), **SHORT
    ),
    "fcn": lambda: tiny_fcn(**SHORT),
    "sampler": lambda: tiny_sampler(tiny_tokenizer(ssl=None, **SHORT), **SHORT),
    "autoregressive": lambda: tiny_autoregressive(
        tiny_tokenizer(ssl=None, **SHORT), **SHORT
    ),
    "detector": lambda: AnomalyDetector(tiny_encoder(**SHORT)),
    "sampling_detector": lambda: AnomalyDetector(
        tiny_sampler(tiny_tokenizer(ssl=None, **SHORT), **SHORT)
    ),
}
METHODS = (
    "transform",
    "encode",
    "reconstruct",
    "predict_proba",
    "predict",
    "score_samples",
    "score_timepoints",
)


def outputs(estimator, X):
    """Everything that a fitted estimator makes of series."""
    if isinstance(estimator, Windows):
        return [estimator.transform(X[0])]
    names = [name for name in METHODS if hasattr(estimator, name)]
    results = [np.asarray(getattr(estimator, name)(X)) for name in names]
    if hasattr(estimator, "sample"):
        results.append(estimator.sample(3))
    return results


def assert_same(estimator, other, X):
    assert type(other) is type(estimator)
    for a, b in zip(outputs(estimator, X), outputs(other, X), strict=True):
        assert a.dtype == b.dtype
        np.testing.assert_array_equal(a, b)


def fit(name):
    X, y = waves()
    return MAKERS[name]().fit(X[0] if name == "windows" else X, y)


@pytest.fixture(scope="module", params=MAKERS)
def fitted(request):
    return fit(request.param)


@pytest.fixture(scope="module")
def encoder():
    return tiny_encoder(**SHORT).fit(waves()[0])


@pytest.fixture
def path(tmp_path):
    return tmp_path / "model.safetensors"


# --------------------------------------------------------------------- save and load


def test_every_public_estimator_can_be_saved():
    public = [getattr(sktsrep, name) for name in sktsrep.__all__]
    public = [x for x in public if isinstance(x, type) and issubclass(x, BaseEstimator)]
    assert {cls.__name__ for cls in public} <= _plain._ESTIMATORS.keys()
    assert set(public) <= {type(make()) for make in MAKERS.values()}


@pytest.mark.parametrize(
    "table",
    [_plain._ESTIMATORS, _plain._FITTED_PARTS, _plain._MODULES, _plain._FUNCTIONS],
)
def test_tables_name_what_is_there(table):
    for name in table:
        assert _plain._find(name, table).__name__ == name
        # FrozenEstimator alone is not of this package.
        assert table[name].startswith("sktsrep.") or name == "FrozenEstimator"


def test_same_bits_after_loading(fitted, path):
    X, _ = waves(seed=1)
    random_state = torch.get_rng_state()
    fitted.save(path)
    opened = sktsrep.load(path)
    assert torch.equal(random_state, torch.get_rng_state())
    assert_same(fitted, opened, X)
    assert repr(opened) == repr(fitted)
    if hasattr(fitted, "net_"):
        assert opened.history_.equals(fitted.history_)
        for name in ("module", "device", "amp", "lr", "max_epochs", "iterator_valid"):
            assert getattr(opened.net_, name) == getattr(fitted.net_, name)
    assert vars(opened).keys() == vars(fitted).keys()


def test_what_is_loaded_is_an_estimator_like_any_other(fitted, path):
    X, _y = waves(seed=1)
    fitted.save(path)
    opened = sktsrep.load(str(path))
    assert repr(clone(opened)) == repr(clone(fitted))
    assert_same(fitted, copy.deepcopy(opened), X)
    assert_same(fitted, pickle.loads(pickle.dumps(opened)), X)
    opened.save(path)
    assert_same(fitted, sktsrep.load(path), X)
    opened.set_params(**opened.get_params(deep=False))


def test_a_clone_of_what_is_loaded_fits_the_same(encoder, path):
    encoder.save(path)
    assert_same(encoder, clone(sktsrep.load(path)).fit(waves()[0]), waves(seed=1)[0])


def test_names_and_labels_are_kept(path):
    pd = pytest.importorskip("pandas")
    X, y = waves()
    frame = pd.DataFrame(X, columns=[f"t{i}" for i in range(X.shape[1])])
    labels = np.array(["slow", "quick", "other"])[:2][y]
    model = tiny_fcn(**SHORT).set_output(transform="pandas").fit(frame, labels)
    model.save(path)
    opened = sktsrep.load(path)
    assert opened.predict(frame).dtype == labels.dtype
    np.testing.assert_array_equal(opened.classes_, model.classes_)
    np.testing.assert_array_equal(opened.feature_names_in_, model.feature_names_in_)
    assert opened.transform(frame).equals(model.transform(frame))


def test_class_weights_have_labels_of_any_kind(tmp_path):
    X, y = waves()
    weights = {0: 1.0, np.int64(1): 2.5}
    classifier = tiny_classifier(tiny_encoder(), class_weight=weights).fit(X, y)
    classifier.save(tmp_path / "model")
    opened = sktsrep.load(tmp_path / "model")
    assert opened.class_weight == weights
    np.testing.assert_array_equal(opened.predict(X), classifier.predict(X))


def test_a_recording_and_unequal_series(path):
    rng = np.random.default_rng(0)
    walk = rng.normal(size=(600, 2)).cumsum(axis=0)
    X = Windows(32, step=8).fit_transform(walk)
    sampler = tiny_sampler(tiny_tokenizer(**SHORT), **SHORT).fit(X)
    assert sampler.tokenizer_.level_codebook_ is not None
    sampler.save(path)
    assert_same(sampler, sktsrep.load(path), X)
    series = [rng.normal(size=n) for n in rng.integers(20, 50, size=30)]
    encoder = tiny_encoder(**SHORT).fit(series)
    encoder.save(path)
    np.testing.assert_array_equal(
        sktsrep.load(path).transform(series), encoder.transform(series)
    )


def test_float32_and_numbers_of_numpy(path):
    X, _ = waves(dtype=np.float32)
    model = tiny_vae(**SHORT).set_params(random_state=np.int64(3), lr=np.float32(0.01))
    model.fit(X).save(path)
    opened = sktsrep.load(path)
    assert type(opened.random_state) is np.int64
    assert opened.lr == model.lr
    assert_same(model, opened, X)


def test_what_the_caller_has_set_changes_nothing(encoder, path):
    X, _ = waves()
    encoder.save(path)
    torch.set_default_dtype(torch.float64)
    try:
        with torch.inference_mode(), torch.device("meta"):
            opened = sktsrep.load(path)
            copied = pickle.loads(pickle.dumps(opened))
    finally:
        torch.set_default_dtype(torch.float32)
    assert_same(encoder, opened, X)
    assert_same(encoder, copied, X)
    for model in (opened, copied):
        weight = next(model.net_.module_.parameters())
        assert weight.dtype == torch.float32
        assert not weight.is_inference()
        assert weight.requires_grad


def test_parameters_set_after_fit_change_no_network(path):
    X, _ = waves()
    tokenizer = tiny_tokenizer(**SHORT).fit(X)
    expected = tokenizer.encode(X)
    tokenizer.set_params(quantizer__n_codes=16, quantizer__dim=8, hidden_dim=16)
    tokenizer.save(path)
    np.testing.assert_array_equal(sktsrep.load(path).encode(X), expected)
    np.testing.assert_array_equal(copy.deepcopy(tokenizer).encode(X), expected)


def test_a_file_is_complete_or_not_there(encoder, path, monkeypatch):
    _X, _ = waves()
    encoder.save(path)
    before = path.read_bytes()
    monkeypatch.setattr(_files.os, "fsync", lambda _: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        encoder.save(path)
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]


def test_only_what_is_fitted_is_saved(path):
    with pytest.raises(NotFittedError):
        tiny_encoder().save(path)
    assert not path.exists()


# -------------------------------------------------------------------------- refusals


def double(x):
    return 2 * x


class Keep(Callback):
    pass


class OwnObjective(VICReg):
    pass


class OwnEncoder(sktsrep.SSLEncoder):
    pass


class OwnTokenizer(sktsrep.SSLVQTokenizer):
    pass


class OwnNetwork(TrainingModule):
    pass


@pytest.mark.parametrize(
    ("params", "name"),
    [
        ({"augmentations": double}, r"augmentations .* <function double"),
        ({"augmentations": ["gauss", lambda x: x]}, r"augmentations\[1\] .* <lambda>"),
        ({"augmentations": functools.partial(double)}, "augmentations .* double"),
        ({"random_state": np.random.RandomState(0)}, "random_state .* Give an int"),
        ({"callbacks": [Keep()]}, r"callbacks\[0\] .* serve training"),
        ({"ssl": OwnObjective(projector_dim=8)}, "ssl .* OwnObjective"),
    ],
)
def test_what_files_cannot_hold_is_refused_by_name(params, name, path):
    encoder = tiny_encoder(**SHORT).set_params(**params).fit(waves()[0])
    with pytest.raises(TypeError, match=name):
        encoder.save(path)
    assert not path.exists()


def test_other_objects_are_refused_by_name(encoder, path):
    X, _ = waves()
    tokenizer = OwnTokenizer(hidden_dim=8, device="cpu", **SHORT)
    sampler = tiny_sampler(tokenizer, **SHORT).fit(X)
    with pytest.raises(TypeError, match=r"tokenizer .* OwnTokenizer"):
        sampler.save(path)
    nested = tiny_classifier(tiny_encoder(augmentations=double, **SHORT), **SHORT)
    with pytest.raises(TypeError, match=r"encoder\.augmentations"):
        nested.fit(*waves()).save(path)
    with pytest.raises(TypeError, match="OwnEncoder"):
        OwnEncoder(device="cpu", hidden_dim=8, **SHORT).fit(X).save(path)
    watched = copy.deepcopy(encoder).set_params(callbacks=[Callback()])
    with pytest.raises(TypeError, match=r"callbacks\[0\].*set_params\(callbacks=None"):
        watched.save(path)


@needs_callbacks
def test_callbacks_of_scikit_learn_are_refused(encoder, path):
    from sklearn.callback import ProgressBar

    watched = copy.deepcopy(encoder).set_callbacks(ProgressBar())
    with pytest.raises(TypeError, match=r"callbacks\[0\].*ProgressBar.* set_callbacks"):
        watched.save(path)


def test_a_changed_network_is_refused(encoder, path):
    changed = copy.deepcopy(encoder)
    changed.net_.module_.encoder.encoder.head[1] = nn.ReLU()
    X, _ = waves()
    with pytest.raises(TypeError, match=r"(?s)net_ .* A network must be"):
        changed.save(path)
    # Pickles go on working.
    assert_same(changed, pickle.loads(pickle.dumps(changed)), X)
    half = copy.deepcopy(encoder)
    half.net_.module_.half()
    with pytest.raises(TypeError, match="net_"):
        half.save(path)


# -------------------------------------------------------------------------- versions


def test_another_version_warns(encoder, path, monkeypatch):
    encoder.save(path)
    monkeypatch.setattr(_versions, "VERSION", "9.9.9")
    with pytest.warns(InconsistentVersionWarning, match=r"sktsrep .* 9\.9\.9") as seen:
        sktsrep.load(path)
    assert seen[0].filename == __file__


def test_a_newer_format_is_refused(encoder, path, monkeypatch):
    monkeypatch.setattr(_files, "FORMAT_VERSION", 2)
    encoder.save(path)
    monkeypatch.undo()
    with pytest.raises(ValueError, match=r"its format is 2, .* reads 1"):
        sktsrep.load(path)


# Written by version 0.1.0, from MAKERS fitted to waves(n_timepoints=24), with what they
# then computed of the first series. Once released they stay; later ones join them.
@pytest.mark.parametrize("name", ["encoder", "sampler"])
def test_old_files_open(name):
    X, _ = waves(n_timepoints=24)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", InconsistentVersionWarning)
        model = sktsrep.load(FILES / f"{name}_0.1.0.safetensors")
    compute = model.transform if name == "encoder" else model.score_samples
    expected = np.load(FILES / "expected_0.1.0.npz")[name]
    np.testing.assert_allclose(compute(X[:3]), expected, rtol=1e-3, atol=1e-4)
    if name == "sampler":
        assert model.sample(2).shape == (2, 24)


def test_models_of_a_missing_device_open_on_the_cpu(encoder, path):
    if torch.cuda.is_available():
        pytest.skip("this machine has CUDA")
    elsewhere = copy.deepcopy(encoder)
    elsewhere.net_.device = "cuda:3"
    elsewhere.save(path)
    with pytest.warns(UserWarning, match="The CPU is used instead"):
        opened = sktsrep.load(path)
    assert_same(encoder, opened, waves()[0])


# --------------------------------------------------------------------- hostile files


def parts_of(data):
    """Header and buffer of a safetensors file."""
    n_header = int.from_bytes(data[:8], "little")
    return json.loads(data[8 : 8 + n_header]), data[8 + n_header :]


def file_of(header, buffer):
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + buffer


def sealed(arrays, metadata):
    """A file with a digest that is right, as a forger would write it."""
    metadata = {name: text for name, text in metadata.items() if name != "digest"}
    metadata["digest"] = _files._digest(metadata, arrays)
    return _files.save_arrays(arrays, metadata)


def forged(data, change):
    """A file whose model is changed, and whose digest is right."""
    arrays = _files.load_arrays(data)
    metadata = parts_of(data)[0]["__metadata__"]
    metadata["model"] = json.dumps(change(json.loads(metadata["model"])))
    return sealed(arrays, metadata)


@pytest.fixture(scope="module")
def data(encoder, tmp_path_factory):
    path = tmp_path_factory.mktemp("files") / "encoder"
    encoder.save(path)
    return path.read_bytes()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda data: b"", "no safetensors file"),
        (lambda data: data[:100], "no safetensors file"),
        (lambda data: data[:-1], "no safetensors file"),
        (lambda data: data + b"0", "no safetensors file"),
        (lambda data: pickle.dumps(double), "no safetensors file"),
        (lambda data: _files.save_arrays({"x": np.ones(3)}), "save has not written it"),
        (lambda data: data[:-1] + bytes([data[-1] ^ 1]), "it is damaged"),
        (lambda data: b"\xff" * 8 + data[8:], "no safetensors file"),
    ],
)
def test_other_files_are_refused(data, change, message, path):
    path.write_bytes(change(data))
    with pytest.raises(ValueError, match=f"cannot be loaded: .*{message}"):
        sktsrep.load(path)


def test_a_file_that_is_not_there_is_missing(path):
    with pytest.raises(FileNotFoundError):
        sktsrep.load(path)


def with_param(name, value):
    def change(model):
        model["estimator"]["params"][name] = value
        return model

    return change


def with_fitted(name, value):
    def change(model):
        model["estimator"]["fitted"][name] = value
        return model

    return change


def with_network(change_network):
    def change(model):
        state = model["estimator"]["fitted"]["net_"]["part"]["state"]
        change_network(state["network"]["dict"]["module"]["dict"])
        return model

    return change


def with_backbone(**sizes):
    def change(network):
        arguments = network["arguments"]["dict"]["make_encoder"]["dict"]["partial"]
        arguments["dict"]["arguments"]["dict"].update(sizes)

    return with_network(change)


def text(items, dtype):
    return {"text": {"items": [items], "shape": [1], "dtype": dtype}}


def array(name):
    return {"array": name}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda model: {"estimator": {"name": "os.system"}}, "no name that files know"),
        (lambda model: {"partial": {"name": "eval", "arguments": {}}}, "no name that"),
        (lambda model: {"class": "SSLEncoder"}, "no kind of value"),
        (lambda model: {"array": "mean_"}, "nothing is known of"),
        (lambda model: [model], "is not an estimator"),
        (with_param("lr", -1.0), "'lr' parameter"),
        (with_param("ssl", {"function": "flip"}), "'ssl' parameter"),
        (with_param("unknown", 1), "unexpected keyword"),
        (with_fitted("transform", 1), "is nothing that SSLEncoder learns"),
        (with_fitted("_device", 1), "is nothing that SSLEncoder learns"),
        (with_fitted("n_iter_", array("nowhere")), "nowhere is missing"),
        (with_fitted("mean_", None), "nothing is known of mean_"),
        (with_fitted("mean_", {"module": {}}), "no arrays to fill it"),
        (with_network(lambda n: n.update(name="SSLEncoder")), "no name that"),
        (with_backbone(hidden_dim=10**9), "does not fit the arrays"),
        (with_backbone(n_blocks=300), "larger than the arrays"),
        (with_backbone(n_fft=2**40), "does not fit the arrays"),
        (with_backbone(n_channels="x" * 1000), "too many"),
        (with_param("level", text("U", 10**9)), "too wide"),
        (with_param("level", text("U", "x")), "too wide"),
        (with_backbone(max_tokens=-1), "does not fit the arrays"),
        (with_backbone(hidden_dim=9), "must be float32 of shape"),
        (with_backbone(n_blocks=2), "differ in"),
    ],
)
def test_forgeries_are_refused(data, change, message, path):
    path.write_bytes(forged(data, change))
    with pytest.raises(ValueError, match=message):
        sktsrep.load(path)


def test_networks_are_no_larger_than_their_arrays():
    with pytest.raises(ValueError, match="larger than the arrays"):
        remake(lambda: nn.Linear(10**7, 10**7), {"weight": np.ones((2, 2))})
    with pytest.raises(ValueError, match="larger than the arrays"):
        remake(lambda: nn.Sequential(*map(nn.Linear, *[[1] * 10**6] * 2)), {})
    with pytest.raises(ValueError, match="must be float32"):
        remake(lambda: nn.Linear(1, 1, bias=False), {"weight": np.ones((1, 1))})


def test_states_of_nets_never_unpickle(encoder):
    net = copy.deepcopy(encoder.net_)
    net.module_ = OwnNetwork()
    with pytest.raises(TypeError, match="plain"):
        net.__getstate__()
    assert isinstance(copy.deepcopy(net), type(net))
    state = super(type(net), net).__getstate__()
    assert "__cuda_dependent_attributes__" in state  # skorch would unpickle this
    with pytest.raises(KeyError):
        net.__setstate__(state)


# ------------------------------------------------------------------------------- fuzz

_VALUES = [
    *(None, True, -1, 0, 1, 3, 2**31, 10**30, -(2**70), 0.5, -1e308, 1e308),
    *("", "x", "cuda", "SSLVQTokenizer", [], [[]], {}, {"dict": {}}, {"tuple": [7]}),
    *({"number": "nan"}, {"number": "-inf"}, {"function": "flip"}, {"device": "cpu"}),
    {"partial": {"name": "slope", "arguments": {}}},
    {"partial": {"name": "SpectralEncoder", "arguments": {"n_fft": 2**50}}},
    {"text": {"items": ["a"], "shape": [1], "dtype": 10**9}},
    {"estimator": {"name": "ResidualVQ", "params": {"depth": 10**9}, "fitted": {}}},
]


def places_in(model):
    """Every container of a model, with every key there."""
    keys = model if isinstance(model, dict) else range(len(model))
    for key in keys:
        yield model, key
        if isinstance(model[key], dict | list):
            yield from places_in(model[key])


def change_model(model, rng):
    """Change a model's JSON at some places."""
    for _ in range(rng.integers(1, 4)):
        places = list(places_in(model))
        if not places:
            break
        container, key = places[rng.integers(len(places))]
        other, other_key = places[rng.integers(len(places))]
        kind = rng.integers(5)
        if kind == 0:
            container[key] = copy.deepcopy(_VALUES[rng.integers(len(_VALUES))])
        elif kind == 1:
            del container[key]
        elif kind == 2:
            container[key] = copy.deepcopy(other[other_key])
        elif kind == 3 and type(container[key]) in (int, float):
            container[key] = container[key] * int(rng.choice([-1, 2, 1000])) + 1
        elif isinstance(container, dict):
            container[str(rng.choice(["net_", "x", "array", "dict", "fit"]))] = (
                container.pop(key)
            )
    return model


def change_arrays(arrays, rng):
    """Exchange, drop, reshape or convert arrays."""
    names = list(arrays)
    a, b = names[rng.integers(len(names))], names[rng.integers(len(names))]
    kind = rng.integers(5)
    if kind == 0:
        arrays[a], arrays[b] = arrays[b], arrays[a]
    elif kind == 1:
        del arrays[a]
    elif kind == 2:
        arrays[a] = arrays[a].reshape(-1)
    elif kind == 3:
        arrays[a] = arrays[a].astype(str(rng.choice(["f8", "f2", "i8", "?", "u1"])))
    else:
        arrays[a] = arrays[a][..., :-1] if arrays[a].ndim else arrays[a].reshape(1)
    return arrays


def mutated(data, rng):
    """A file that is damaged or forged at random."""
    kind = rng.integers(7)
    n_header = int.from_bytes(data[:8], "little")
    if kind == 0:
        return data[: rng.integers(len(data))]
    if kind in (1, 2):  # anywhere, or in the header
        changed = bytearray(data)
        for _ in range(rng.integers(1, 9)):
            end = len(data) if kind == 1 else 8 + n_header
            changed[rng.integers(end)] = rng.integers(256)
        return bytes(changed)
    if kind == 3:
        header, buffer = parts_of(data)
        return file_of(change_model(header, rng), buffer)
    arrays = _files.load_arrays(data)
    metadata = parts_of(data)[0]["__metadata__"]
    if kind == 4:
        return sealed(change_arrays(arrays, rng), metadata)
    model = change_model(json.loads(metadata["model"]), rng)
    return sealed(arrays, metadata | {"model": json.dumps(model)})


_HOSTILE = {"exec", "os.system", "pickle.find_class", "subprocess.Popen", "os.exec"}
_SEEN = []  # what runs code while files are read; None while nobody listens


def _listen(event, args):
    if event in _HOSTILE and _SEEN and _SEEN[-1] is not None:
        _SEEN.append(event)


sys.addaudithook(_listen)


def opens_or_fails_clearly(data, path):
    """Load a file; give the model, or None for a clear error."""
    path.write_bytes(data)
    _SEEN[:] = ["listening"]
    start = time.monotonic()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of devices and versions
            model = sktsrep.load(path)
    except ValueError as error:
        if "cannot be loaded" not in str(error):
            raise
        model = None
    assert _SEEN == ["listening"]
    _SEEN[:] = [None]
    assert time.monotonic() - start < 10
    return model


def fuzz(n_mutations, path):
    """Mutate files at random; count those that open and those that do not."""
    rng = np.random.default_rng(0)
    files = []
    for name in ("encoder", "fsq_tokenizer", "sampler", "sampling_detector"):
        fit(name).save(path)
        files.append(path.read_bytes())
    X, _ = waves(n_samples=2)
    counts = {"refused": 0, "opened": 0, "of which fail later": 0}
    for number in range(n_mutations):
        model = opens_or_fails_clearly(mutated(files[number % 4], rng), path)
        counts["refused" if model is None else "opened"] += 1
        if model is not None:
            assert isinstance(model, BaseEstimator)
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    model.score_samples(X) if hasattr(model, "score_samples") else (
                        model.transform(X)
                    )
            except Exception:
                counts["of which fail later"] += 1
    return counts


def test_mutated_files_open_or_fail_clearly(path):
    # Ten thousand take four minutes.
    n_mutations = int(os.environ.get("SKTSREP_MUTATIONS", "300"))
    counts = fuzz(n_mutations, path)
    assert counts["refused"] > n_mutations / 2
    assert counts["opened"] > 0


# ------------------------------------------------------------------------------ skops


def test_pipelines_go_through_skops(fitted):
    skops = pytest.importorskip("skops.io")
    if isinstance(fitted, Windows):
        pytest.skip("has other inputs")
    X, _ = waves(seed=1)
    dumped = skops.dumps(make_pipeline(fitted))
    untrusted = skops.get_untrusted_types(data=dumped)
    assert untrusted
    named = {name for name in untrusted if not name.startswith("sktsrep.")}
    assert named <= {"functools.partial"}  # of augmentations, if the user gives some
    opened = skops.loads(dumped, trusted=untrusted)
    assert_same(fitted, opened[-1], X)


def test_a_pipeline_with_a_probe_goes_through_skops(encoder):
    skops = pytest.importorskip("skops.io")
    X, y = waves()
    pipeline = make_pipeline(encoder, LogisticRegression()).fit(X, y)
    dumped = skops.dumps(pipeline)
    untrusted = skops.get_untrusted_types(data=dumped)
    assert set(untrusted) == {
        "sktsrep._training.net.SeriesNet",
        "sktsrep.encoders.SSLEncoder",
    }
    opened = skops.loads(dumped, trusted=untrusted)
    np.testing.assert_array_equal(opened.predict_proba(X), pipeline.predict_proba(X))


@pytest.mark.skipif(find_spec("mlflow") is None, reason="mlflow is not installed")
@pytest.mark.filterwarnings("default")
def test_mlflow_keeps_a_pipeline(encoder, tmp_path):
    mlflow_sklearn = pytest.importorskip("mlflow.sklearn")
    X, y = waves()
    pipeline = make_pipeline(encoder, LogisticRegression()).fit(X, y)
    mlflow_sklearn.save_model(
        pipeline,
        tmp_path / "model",
        serialization_format="skops",
        skops_trusted_types=[
            "sktsrep._training.net.SeriesNet",
            "sktsrep.encoders.SSLEncoder",
        ],
    )
    opened = mlflow_sklearn.load_model(str(tmp_path / "model"))
    np.testing.assert_array_equal(opened.predict(X), pipeline.predict(X))
