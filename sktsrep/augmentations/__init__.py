"""Random views of a batch of series, vectorized, on the device of the data.

An augmentation is a callable ``series -> series`` of tensors of shape
``(batch, channels, timepoints)``. It preserves length, dtype and device, and every row
draws its own numbers. Augmentations compose as a plain list, which may contain any
callable. The name of a preset stands for such a list.

Strengths are in standard deviations of the series, because estimators standardize
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
from sktsrep.augmentations.views import (
    PRESETS,
    Augmentation,
    augment,
    resolve_augmentations,
)

__all__ = [
    "PRESETS",
    "Augmentation",
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


def __dir__() -> list[str]:
    return __all__
