"""Random views of a batch of series, vectorized, on the data's device.

An augmentation is a callable ``series -> series`` of tensors of shape
``(batch, channels, timepoints)``; length, dtype and device are kept exactly and every
row draws its own numbers. They compose as a plain list; a preset's name stands for such
a list, and any callable of a user's own may stand among them.

Strengths are in units of the series' standard deviation: estimators standardize
their data first.
"""

from sktsrep.augmentations.time_domain import (
    amplitude_resize,
    crop_and_resize,
    flip,
    gaussian_noise,
    magnitude_warp,
    slice_and_shuffle,
    slope,
    time_mask,
    time_shift,
    window_warp,
)
from sktsrep.augmentations.time_frequency import (
    band_mask,
    block_mask,
    phase_rotation,
    spectral_scale,
)
from sktsrep.augmentations.views import PRESETS, augment, resolve_augmentations

__all__ = [
    "PRESETS",
    "amplitude_resize",
    "augment",
    "band_mask",
    "block_mask",
    "crop_and_resize",
    "flip",
    "gaussian_noise",
    "magnitude_warp",
    "phase_rotation",
    "resolve_augmentations",
    "slice_and_shuffle",
    "slope",
    "spectral_scale",
    "time_mask",
    "time_shift",
    "window_warp",
]
