"""Views: augmentations composed, by preset name or as a list."""

from functools import partial

from sktsrep.augmentations.time_domain import (
    amplitude_resize,
    crop_and_resize,
    gaussian_noise,
    slice_and_shuffle,
    time_shift,
    window_warp,
)

__all__ = ["PRESETS", "augment", "resolve_augmentations"]


PRESETS = {
    "gauss": [gaussian_noise],
    "slice": [slice_and_shuffle],
    "warp": [window_warp, amplitude_resize],
    "crop": [crop_and_resize],
    # Noise hides what has next to no power: objectives that tell series apart would
    # know smooth ones by it, through the logarithms in the encoder's input.
    "shift": [time_shift, partial(gaussian_noise, scale=0.02)],
}


def resolve_augmentations(augmentations):
    """The list of callables that a preset's name, a callable or a list stands for.

    Parameters
    ----------
    augmentations : str, callable or list of those
        As an estimator takes it.

    Returns
    -------
    list of callables

    Raises
    ------
    ValueError
        For an unknown preset.
    TypeError
        For anything that is neither a name nor a callable.

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
            "augmentations must be a preset's name, a callable or a list of those, got "
            f"{augmentations!r} instead."
        )
    return [f for item in augmentations for f in resolve_augmentations(item)]


def augment(x, augmentations):
    """Apply augmentations in turn.

    Parameters
    ----------
    x : Tensor of shape (batch, channels, timepoints)
        Series.
    augmentations : list of callables
        Each takes and returns such a tensor.

    Returns
    -------
    Tensor of the same shape

    Raises
    ------
    ValueError
        When an augmentation changes the shape.

    Examples
    --------
    >>> import torch
    >>> augment(torch.ones(1, 1, 2), [lambda x: 2 * x, lambda x: x + 1])
    tensor([[[3., 3.]]])
    """
    for function in augmentations:
        changed = function(x)
        if changed.shape != x.shape:
            raise ValueError(
                f"Augmentation {function!r} must keep the shape {tuple(x.shape)}, got "
                f"{tuple(changed.shape)} instead."
            )
        x = changed
    return x
