"""One line for arguments that a function cannot take, instead of an error of torch.

Nothing here looks at the values of a tensor, which would wait for the device.
"""

import math
from collections.abc import Sequence
from numbers import Integral, Real

import torch
from torch import Tensor

__all__ = [
    "check_count",
    "check_generator",
    "check_levels",
    "check_number",
    "check_same",
    "check_tensor",
]

_KINDS = {
    "float": "of floating-point numbers",
    "single": "of float32 or float64",
    "complex": "of complex numbers",
    "int": "of integers",
    "int64": "of int64",
    "bool": "of booleans",
    "real": "of real numbers",
}


def _is_of_kind(dtype: torch.dtype, kind: str) -> bool:
    if kind == "float":
        return dtype.is_floating_point
    if kind == "single":
        return dtype in (torch.float32, torch.float64)
    if kind == "complex":
        return dtype in (torch.complex64, torch.complex128)
    if kind == "bool":
        return dtype == torch.bool
    if kind == "int64":
        return dtype == torch.int64
    if kind == "real":
        return not dtype.is_complex and dtype != torch.bool
    return not (dtype.is_floating_point or dtype.is_complex or dtype == torch.bool)


def check_tensor(x: Tensor, name: str, axes: str, kind: str = "float") -> None:
    """Refuse other types, axes and dtypes than expected, and tensors without values.

    Parameters
    ----------
    x : Tensor
        Argument.
    name : str
        Its name.
    axes : str
        Names of its axes, such as ``"batch, channels, time"``; ``...`` is any others.
    kind : {"float", "single", "complex", "int", "int64", "bool", "real"}
        What it must hold; "single" leaves out half precision.

    Raises
    ------
    TypeError
        For what is no tensor, and for other dtypes.
    ValueError
        For other numbers of axes, and for axes of length 0.

    Examples
    --------
    >>> check_tensor(torch.zeros(2, 1, 9), "x", "batch, channels, time")
    """
    if not isinstance(x, Tensor):
        raise TypeError(f"{name} must be a tensor, got {type(x).__name__} instead.")
    n_axes = axes.count(",") + 1
    fits = x.ndim >= n_axes - 1 if "..." in axes else x.ndim == n_axes
    if not fits or 0 in x.shape:
        raise ValueError(
            f"{name} must have the shape ({axes}), every axis at least 1, got "
            f"{tuple(x.shape)} instead."
        )
    if not _is_of_kind(x.dtype, kind):
        raise TypeError(
            f"{name} must be a tensor {_KINDS[kind]}, got {x.dtype} instead."
        )


def check_same(
    x: Tensor, other: Tensor, name: str, *, shape: bool = True, dtype: bool = True
) -> None:
    """Refuse a tensor that differs from another in what a function takes as the same.

    Parameters
    ----------
    x, other : Tensor
        Arguments.
    name : str
        Names of both, such as ``"z_prime and z"``.
    shape, dtype : bool
        Whether these must agree; the device always must.

    Raises
    ------
    ValueError
        When they differ.

    Examples
    --------
    >>> check_same(torch.zeros(2), torch.ones(2), "z_prime and z")
    """
    if shape and x.shape != other.shape:
        found = f"shape, got {tuple(x.shape)} and {tuple(other.shape)}"
    elif dtype and x.dtype != other.dtype:
        found = f"dtype, got {x.dtype} and {other.dtype}"
    elif x.device != other.device:
        found = f"device, got {x.device} and {other.device}"
    else:
        return
    raise ValueError(f"{name} must have the same {found} instead.")


def check_number(
    value: float, name: str, low: float = -math.inf, high: float = math.inf
) -> None:
    """Refuse what is no finite number between two limits.

    Examples
    --------
    >>> check_number(0.5, "probability", 0, 1)
    """
    if not isinstance(value, Real):
        raise TypeError(f"{name} must be a number, got {value!r} instead.")
    if not (low <= value <= high and math.isfinite(value)):
        raise ValueError(
            f"{name} must be a number in [{low}, {high}], got {value!r} instead."
        )


def check_count(value: int, name: str, low: int = 1) -> None:
    """Refuse what is no int of at least ``low``.

    Examples
    --------
    >>> check_count(3, "n_slices")
    """
    if isinstance(value, bool) or not isinstance(value, Integral):
        raise TypeError(f"{name} must be an int, got {value!r} instead.")
    if value < low:
        raise ValueError(f"{name} must be an int of at least {low}, got {value}.")


def check_levels(levels: Sequence[int], x: Tensor | None = None) -> None:
    """Refuse levels that are no ints of at least 2, or not one per component of ``x``.

    Examples
    --------
    >>> check_levels([3, 2], torch.zeros(5, 2))
    """
    try:
        n_levels = len(levels)
    except TypeError as error:
        raise TypeError(f"levels must be a list of ints, got {levels!r}.") from error
    for i, level in enumerate(levels):
        check_count(level, f"levels[{i}]", 2)
    expected = n_levels if x is None else x.shape[-1]
    if n_levels != max(expected, 1):
        raise ValueError(
            f"levels must hold one int per component, {max(expected, 1)} in all, got "
            f"{n_levels} instead."
        )


def check_generator(
    generator: torch.Generator | None, device: torch.device | str | None
) -> None:
    """Refuse what is no generator for the device.

    Examples
    --------
    >>> check_generator(torch.Generator(), torch.device("cpu"))
    """
    if generator is None:
        return
    if not isinstance(generator, torch.Generator):
        raise TypeError(
            f"generator must be a torch.Generator, got {generator!r} instead."
        )
    expected = torch.get_default_device() if device is None else torch.device(device)
    if generator.device.type != expected.type:
        raise ValueError(
            f"generator must be on the device {expected} of the numbers, got "
            f"{generator.device} instead."
        )
