"""Compositions of augmentations: presets and lists."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import TypeAlias

import torch
from torch import Tensor

from sktsrep.augmentations.time_domain import (
    amplitude_resize,
    crop_and_resize,
    gaussian_noise,
    slice_and_shuffle,
    time_shift,
    window_warp,
)
from sktsrep.functional._checks import check_tensor

__all__ = ["PRESETS", "Augmentation", "augment", "resolve_augmentations"]


Augmentation: TypeAlias = Callable[[Tensor], Tensor]

PRESETS: dict[str, list[Augmentation]] = {
    "gauss": [gaussian_noise],
    "slice": [slice_and_shuffle],
    "warp": [window_warp, amplitude_resize],
    "crop": [crop_and_resize],
    # Without noise, objectives would separate smooth series by rounding errors, which
    # the logarithms in the encoder's input amplify.
    "shift": [time_shift, partial(gaussian_noise, scale=0.02)],
}


def resolve_augmentations(
    augmentations: str | Augmentation | Sequence[str | Augmentation],
) -> list[Augmentation]:
    """Resolve a preset's name, a callable or a list of those to a list of callables.

    Parameters
    ----------
    augmentations : str, callable or list of those
        Presets by name, or augmentations.

    Returns
    -------
    list of callables

    Raises
    ------
    ValueError
        If a preset is unknown.
    TypeError
        If an item is neither a name nor a callable.

    Examples
    --------
    >>> from sktsrep.augmentations import flip
    >>> [f.__name__ for f in resolve_augmentations(["warp", flip])]
    ['window_warp', 'amplitude_resize', 'flip']
    """
    if isinstance(augmentations, str):
        if augmentations not in PRESETS:
            raise ValueError(
                f"augmentations must name one of {sorted(PRESETS)}, got "
                f"{augmentations!r} instead."
            )
        return list(PRESETS[augmentations])
    if callable(augmentations):
        return [augmentations]
    if not isinstance(augmentations, (list, tuple)):
        raise TypeError(
            "augmentations must be the name of a preset, a callable or a list of "
            f"those, got {augmentations!r} instead."
        )
    return [f for item in augmentations for f in resolve_augmentations(item)]


def augment(x: Tensor, augmentations: Sequence[Augmentation]) -> Tensor:
    """Apply augmentations one after another.

    Parameters
    ----------
    x : Tensor of shape (batch, channels, timepoints)
        Series.
    augmentations : list of callables
        Each takes and returns a tensor of the shape, dtype and device of ``x``.
        :func:`resolve_augmentations` makes such a list.

    Returns
    -------
    Tensor of the same shape

    Raises
    ------
    ValueError
        If an augmentation changes shape, dtype or device.
    TypeError
        If an augmentation is no callable or gives no tensor.

    Examples
    --------
    >>> import torch
    >>> augment(torch.ones(1, 1, 2), [lambda x: 2 * x, lambda x: x + 1])
    tensor([[[3., 3.]]])
    """
    check_tensor(x, "x", "batch, channels, timepoints", "real")
    # Views need the precision of the series, also where layers do with less.
    with torch.autocast(x.device.type, enabled=False):
        for function in augmentations:
            if not callable(function):
                raise TypeError(
                    f"augmentations must be a list of callables, got {function!r} in "
                    "it. See resolve_augmentations."
                )
            changed = function(x)
            _check_kept(changed, x, getattr(function, "__name__", repr(function)))
            x = changed
    return x


def _check_kept(changed: Tensor, x: Tensor, name: str) -> None:
    """Refuse a result of the augmentation ``name`` that is not like ``x``."""
    if not isinstance(changed, Tensor):
        raise TypeError(
            f"Augmentation {name} must give a tensor, got {type(changed).__name__} "
            "instead."
        )
    for what, old, new in (
        ("shape", tuple(x.shape), tuple(changed.shape)),
        ("dtype", x.dtype, changed.dtype),
        ("device", x.device, changed.device),
    ):
        if new != old:
            raise ValueError(
                f"Augmentation {name} must keep the {what} {old}, got {new} instead."
            )
