"""Files that hold plain values and arrays: safetensors."""

import errno
import json
import os
import secrets
from hashlib import blake2b

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load as load_arrays
from safetensors.numpy import save as save_arrays
from sklearn.utils.validation import check_is_fitted

from sktsrep._plain import from_plain, to_plain

__all__ = ["check_folder", "read", "write", "write_atomically"]

# Goes up when older versions of the package cannot read what this one writes.
FORMAT_VERSION = 1


def write(estimator, path, versions):
    """Write an estimator to a file that either is complete or is not there.

    Parameters
    ----------
    estimator : estimator
        Fitted.
    path : str or path-like
        Where to; a file that is there is replaced.
    versions : dict of str to str
        Versions of packages, for :func:`read`.
    """
    arrays = {}
    model = json.dumps(_without_arrays(to_plain(estimator, ""), "", arrays))
    metadata = {
        "format": "sktsrep",
        "format_version": str(FORMAT_VERSION),
        "model": model,
        **versions,
    }
    metadata["digest"] = _digest(metadata, arrays)
    write_atomically(path, save_arrays(arrays, metadata))


def check_folder(path):
    """Raise OSError where a path has no folder, or is one."""
    folder = os.path.dirname(os.path.realpath(path))
    if not os.path.isdir(folder):
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), folder)
    if os.path.isdir(path):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))


def write_atomically(path, data):
    """Write bytes to a file that is the old one until the new one is complete."""
    check_folder(path)
    path = os.path.realpath(path)
    temporary = f"{path}.{secrets.token_hex(4)}.tmp"
    try:
        with open(temporary, "xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        if os.path.exists(temporary):
            os.unlink(temporary)
        raise


def read(path):
    """Read what :func:`write` has written.

    Parameters
    ----------
    path : str or path-like
        The file.

    Returns
    -------
    estimator : estimator
    metadata : dict of str to str
        With the versions.

    Raises
    ------
    ValueError
        When the file is something else, is damaged, or was written by a version whose
        format is newer.
    """
    with open(path, "rb") as file:
        data = file.read()
    try:
        arrays, metadata = _parse(data)
        model = json.loads(metadata["model"], parse_constant=_refuse_constant)
        estimator = from_plain(_with_arrays(model, arrays))
        if arrays:
            raise ValueError(f"nothing is known of {', '.join(arrays)}.")
        check_is_fitted(estimator)
    # A file decides what goes wrong in here.
    except Exception as error:
        name = os.fspath(path)
        raise ValueError(f"{name!r} cannot be loaded: {error}") from error
    return estimator, metadata


def _parse(data):
    """Arrays and metadata of a file, as far as it is one of ours and undamaged."""
    try:
        arrays = load_arrays(data)
        n_header = int.from_bytes(data[:8], "little")
        metadata = json.loads(data[8 : 8 + n_header]).get("__metadata__", {})
    except (SafetensorError, ValueError, KeyError, AttributeError) as error:
        raise ValueError(f"it is no safetensors file ({error}).") from error
    if metadata.get("format") != "sktsrep":
        raise ValueError("save has not written it.")
    written = int(metadata["format_version"])
    if not 1 <= written <= FORMAT_VERSION:
        raise ValueError(
            f"its format is {written}, this version of sktsrep reads {FORMAT_VERSION}. "
            f"It was written by sktsrep {metadata.get('sktsrep')}."
        )
    digest = metadata.pop("digest", None)
    if digest != _digest(metadata, arrays):
        raise ValueError("it is damaged: its content does not match its digest.")
    return arrays, metadata


def _digest(metadata, arrays):
    """What tells a damaged file; it is no signature."""
    digest = blake2b(json.dumps(sorted(metadata.items())).encode(), digest_size=16)
    for name, array in sorted(arrays.items()):
        digest.update(f"{name} {array.dtype} {array.shape}".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()


def _refuse_constant(name):
    raise ValueError(f"{name} is no number of JSON.")


def _without_arrays(plain, name, arrays):
    """JSON types alone; arrays go to a dictionary, by what leads to them."""
    if isinstance(plain, np.ndarray):
        while name in arrays:
            name += "_"
        arrays[name] = plain
        return {"array": name}
    if isinstance(plain, list):
        return [
            _without_arrays(item, f"{name}.{i}", arrays) for i, item in enumerate(plain)
        ]
    if not isinstance(plain, dict):
        return plain
    return {
        key: _without_arrays(item, _joined(name, key), arrays)
        for key, item in plain.items()
    }


# Levels of plain values that say nothing in the name of an array.
_SILENT = {
    "arguments",
    "arrays",
    "dict",
    "estimator",
    "fitted",
    "params",
    "part",
    "scalar",
}
_SILENT |= {"state", "tuple"}


def _joined(name, key):
    if key in _SILENT:
        return name
    return f"{name}.{key}" if name else key


def _with_arrays(plain, arrays):
    """Undo :func:`_without_arrays`; every array has one place."""
    if isinstance(plain, list):
        return [_with_arrays(item, arrays) for item in plain]
    if not isinstance(plain, dict):
        return plain
    if plain.keys() == {"array"}:
        if plain["array"] not in arrays:
            raise ValueError(f"{plain['array']} is missing.")
        return arrays.pop(plain["array"])
    return {key: _with_arrays(item, arrays) for key, item in plain.items()}
