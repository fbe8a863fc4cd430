"""
=====================
Views of one series
=====================

Self-supervised training compares views of a series that a network should embed alike.
These are the presets of ``sktsrep.augmentations`` on a series of GunPoint, the height
of a hand over five seconds.
"""

import matplotlib.pyplot as plt

from sktsrep.datasets import load_ucr
from sktsrep.plotting import AugmentationDisplay

X, y = load_ucr("GunPoint", "train")

# %%
# "shift", the default, keeps the shape and moves it in time. "crop" stretches a part to
# full length, "warp" changes the speed and the amplitude, "slice" reorders parts, and
# "gauss" adds noise. Choose views that leave alone what matters in your data: a model
# trained with "warp" learns to ignore speed.

AugmentationDisplay.from_augmentations(
    ["shift", "crop", "warp", "slice", "gauss"],
    X,
    n_views=2,
    random_state=1,
    sampling_rate=30,
    unit="height",
).plot()
plt.show()
