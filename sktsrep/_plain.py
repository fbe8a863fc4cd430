"""Estimators as plain values, which run no code.

Plain values are those of JSON, and arrays. Everything else is an object with a single
key that tells its kind, such as ``{"tuple": [1, 2]}``. Classes and functions have names
of the tables below; no other name is ever looked up.
"""

import functools
import math
from collections.abc import Sized
from importlib import import_module
from pathlib import PurePath

import numpy as np
import torch
from torch import nn

__all__ = ["from_plain", "to_plain"]

# What a file may name, and where it is.
_ESTIMATORS = {
    "AnomalyDetector": "sktsrep.anomaly",
    "AutoregressiveSampler": "sktsrep.samplers",
    "BYOL": "sktsrep.objectives",
    "BarlowTwins": "sktsrep.objectives",
    "EMACodebook": "sktsrep.quantizers",
    "FCNClassifier": "sktsrep.fcn",
    "FSQ": "sktsrep.quantizers",
    "FineTunedClassifier": "sktsrep.classifiers",
    "FrozenEstimator": "sklearn.frozen",
    "GaussianImputer": "sktsrep.imputation",
    "GradientCodebook": "sktsrep.quantizers",
    "MaskGITSampler": "sktsrep.samplers",
    "PretrainedEncoder": "sktsrep.pretrained",
    "ResidualVQ": "sktsrep.quantizers",
    "SSLEncoder": "sktsrep.encoders",
    "SSLVQTokenizer": "sktsrep.tokenizers",
    "STFTTransformer": "sktsrep.preprocessing",
    "SimCLR": "sktsrep.objectives",
    "VAE": "sktsrep.autoencoders",
    "VICReg": "sktsrep.objectives",
    "VIbCReg": "sktsrep.objectives",
    "Windows": "sktsrep.recordings",
}
_FITTED_PARTS = {
    "SeriesNet": "sktsrep._training",
    "WindowScaler": "sktsrep.nn",
    "_TailProbability": "sktsrep._calibration",
}
_MODULES = {
    "Autoencoder": "sktsrep.networks",
    "CausalPrior": "sktsrep.networks",
    "FineTunedNetwork": "sktsrep.networks",
    "FullyConvolutionalNetwork": "sktsrep.networks",
    "JointEncoder": "sktsrep.networks",
    "MaskedPrior": "sktsrep.networks",
    "SpectralEncoder": "sktsrep.nn",
    "VariationalAutoencoder": "sktsrep.networks",
}
_FUNCTIONS = dict.fromkeys(
    (
        "amplitude_resize",
        "band_mask",
        "block_mask",
        "crop_and_resize",
        "flip",
        "gaussian_noise",
        "magnitude_warp",
        "phase_rotation",
        "slice_and_shuffle",
        "slope",
        "spectral_scale",
        "time_mask",
        "time_shift",
        "window_warp",
    ),
    "sktsrep.augmentations",
)

# Arguments of modules that are no sizes of arrays.
_LENGTHS = {"n_observed", "n_samples", "n_timepoints"}

# Text and lists among them are short: sizes that are none would multiply them.
_MOST_ITEMS = 100

# Most characters that all items of an array of text may have room for.
_MOST_TEXT = 10_000_000


def _find(name, table):
    """Look a name up in a table."""
    if not isinstance(name, str) or name not in table:
        raise ValueError(f"{name!r} is no name that files know.")
    return getattr(import_module(table[name]), name)


def _is_in(thing, table):
    """Whether a class or function is the one that a table has by its name."""
    name = getattr(thing, "__name__", None)
    return name in table and _find(name, table) is thing


# --------------------------------------------------------------------- to plain values


def to_plain(value, where="value"):
    """Turn a value into JSON types and arrays.

    Parameters
    ----------
    value : object
        Its type is one that :func:`from_plain` gives.
    where : str
        Its name, for errors.

    Returns
    -------
    None, bool, int, float, str, list, dict or ndarray

    Raises
    ------
    TypeError
        For any other object; the error names it.

    Examples
    --------
    >>> to_plain([1, ("a", float("inf"))])
    [1, {'tuple': ['a', {'number': 'inf'}]}]
    """
    if value is None or type(value) in (bool, int, str):
        return value
    if type(value) is float:
        return value if math.isfinite(value) else {"number": repr(value)}
    if type(value) in (list, tuple):
        items = [to_plain(item, f"{where}[{i}]") for i, item in enumerate(value)]
        return items if type(value) is list else {"tuple": items}
    if type(value) is dict:
        if all(type(name) is str for name in value):
            return {"dict": _plain_items(value, where)}
        return {"pairs": to_plain(list(value.items()), where)}
    if isinstance(value, np.generic):
        return {"scalar": _plain_array(np.asarray(value), where)}
    if isinstance(value, np.ndarray):
        return _plain_array(value, where)
    return _plain_object(value, where)


def _plain_items(values, where):
    return {name: to_plain(item, f"{where}.{name}") for name, item in values.items()}


def _plain_array(array, where):
    if array.dtype.kind in "biuf" and array.dtype.itemsize <= 8:
        native = array.dtype.newbyteorder("=")
        return np.asarray(array, dtype=native, order="C")
    items = array.ravel().tolist()
    is_text = array.dtype.kind == "U" or array.dtype == object
    if not is_text or not all(
        item is None or type(item) in (bool, int, float, str) for item in items
    ):
        raise _refusal(array, where)
    dtype = "object" if array.dtype == object else array.dtype.itemsize // 4
    items = [to_plain(item) for item in items]
    return {"text": {"items": items, "shape": list(array.shape), "dtype": dtype}}


def _plain_object(value, where):
    kind = type(value)
    if isinstance(value, PurePath):
        return str(value)
    if kind is torch.device:
        return {"device": str(value)}
    if _is_in(value, _FUNCTIONS):
        return {"function": value.__name__}
    if kind is functools.partial and not value.args:
        return _plain_partial(value, where)
    if _is_in(kind, _ESTIMATORS):
        return _plain_estimator(value, where)
    if _is_in(kind, _FITTED_PARTS):
        try:
            state = value.__getstate__()
        except TypeError as error:
            raise _refusal(value, where) from error
        state = _plain_items(state, where)
        return {"part": {"name": kind.__name__, "state": state}}
    if _is_in(kind, _MODULES) and value.made_from is not None:
        arguments = _plain_items(value.made_from, where)
        return {"module": {"name": kind.__name__, "arguments": arguments}}
    raise _refusal(value, where)


def _plain_partial(value, where):
    """A call of an augmentation, or of the backbone, that lacks arguments."""
    is_known = _is_in(value.func, _FUNCTIONS) or _is_in(value.func, _MODULES)
    if not is_known:
        raise _refusal(value.func, where)
    arguments = _plain_items(value.keywords, where)
    return {"partial": {"name": value.func.__name__, "arguments": arguments}}


def _plain_estimator(estimator, where):
    """Parameters, and what ``fit`` has learned."""
    estimator._validate_params()
    params = estimator.get_params(deep=False)
    start = f"{where}." if where else ""
    params = {name: to_plain(item, start + name) for name, item in params.items()}
    fitted = {
        name: to_plain(item, start + name)
        for name, item in vars(estimator).items()
        if name not in params
    }
    name = type(estimator).__name__
    return {"estimator": {"name": name, "params": params, "fitted": fitted}}


def _refusal(value, where):
    advice = ""
    if "callbacks" in where:
        is_sklearns = "_skl_callbacks" in where
        remedy = "set_callbacks()" if is_sklearns else "set_params(callbacks=None)"
        advice = f" Callbacks serve training: take them away by {remedy}."
    elif isinstance(value, np.random.RandomState | np.random.Generator):
        advice = " Give an int instead."
    elif isinstance(value, nn.Module) or where.endswith("net_"):
        advice = " A network must be one of this package, as fit has left it."
    return TypeError(
        f"{where or 'The estimator'} cannot be saved, because it is {value!r:.200}. "
        f"Files hold numbers, text, arrays and objects of this package.{advice} Pickle "
        "keeps anything else, for those who trust the file."
    )


# ------------------------------------------------------------------- from plain values


def from_plain(plain, largest=None):
    """Undo :func:`to_plain`.

    Parameters
    ----------
    plain : None, bool, int, float, str, list, dict or ndarray
        What :func:`to_plain` gives.
    largest : int, default=None
        Largest size that arguments of modules may have; None allows any.

    Returns
    -------
    object

    Raises
    ------
    ValueError
        For names that are not in the tables of this module, and for other values that
        cannot be.

    Examples
    --------
    >>> from_plain([1, {"tuple": ["a", {"number": "inf"}]}])
    [1, ('a', inf)]
    """
    if isinstance(plain, list):
        return [from_plain(item, largest) for item in plain]
    if not isinstance(plain, dict):
        return plain
    (kind, content), *others = plain.items()
    if others or kind not in _MAKERS:
        raise ValueError(f"{', '.join(map(repr, plain))} is no kind of value.")
    return _MAKERS[kind](content, largest)


def _items(values, largest):
    return {name: from_plain(item, largest) for name, item in values.items()}


def _make_text(content, largest):
    items = np.array([from_plain(item) for item in content["items"]], dtype=object)
    dtype = content["dtype"]
    if dtype != "object":
        if type(dtype) is not int or not 0 <= dtype * len(items) <= _MOST_TEXT:
            raise ValueError(f"Text of {dtype} characters each is too wide.")
        items = items.astype(f"U{dtype}")
    return items.reshape(content["shape"])


def _make_partial(content, largest):
    function = _find(content["name"], _FUNCTIONS | _MODULES)
    arguments = _items(content["arguments"], largest)
    _check_sizes(arguments, largest)
    return functools.partial(function, **arguments)


def _make_estimator(content, largest):
    """Make it by its constructor, whose checks follow, and give it what it learned."""
    cls = _find(content["name"], _ESTIMATORS)
    estimator = cls(**_items(content["params"], largest))
    fitted = _items(content["fitted"], largest)
    wrong = [name for name in fitted if hasattr(cls, name) or not name.isidentifier()]
    if wrong:
        raise ValueError(f"{wrong[0]!r} is nothing that {cls.__name__} learns.")
    vars(estimator).update(fitted)
    estimator._validate_params()
    return estimator


def _make_part(content, largest):
    cls = _find(content["name"], _FITTED_PARTS)
    part = cls.__new__(cls)
    state = _items(content["state"], largest)
    if hasattr(cls, "__setstate__"):
        part.__setstate__(state)
    else:
        vars(part).update(state)
    return part


def _make_module(content, largest):
    if largest is None:
        raise ValueError("A module stands where there are no arrays to fill it.")
    cls = _find(content["name"], _MODULES)
    arguments = _items(content["arguments"], largest)
    _check_sizes(arguments, largest)
    return cls(**arguments)


def _check_sizes(arguments, largest):
    """Refuse what would make a module too large, or none."""
    for name, value in arguments.items():
        if isinstance(value, Sized) and len(value) > _MOST_ITEMS:
            raise ValueError(f"{name} has {len(value)} items, which is too many.")
        if isinstance(value, int | float | np.generic):
            limit = math.inf if largest is None or name in _LENGTHS else largest
            if not 0 <= value <= limit:
                raise ValueError(f"{name}={value} does not fit the arrays.")


_MAKERS = {
    "number": lambda content, largest: float(content),
    "tuple": lambda content, largest: tuple(from_plain(content, largest)),
    "dict": _items,
    "pairs": lambda content, largest: dict(from_plain(content, largest)),
    "scalar": lambda content, largest: from_plain(content)[()],
    "text": _make_text,
    "device": lambda content, largest: torch.device(content),
    "function": lambda content, largest: _find(content, _FUNCTIONS),
    "partial": _make_partial,
    "estimator": _make_estimator,
    "part": _make_part,
    "module": _make_module,
}
