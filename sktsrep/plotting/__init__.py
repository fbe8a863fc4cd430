"""Displays like those of scikit-learn, drawn with matplotlib.

A display holds the data of a picture. ``from_estimator`` and other class methods create
it. ``plot(ax=None)`` draws it on the given axes or in a new figure, which it keeps as
``ax_`` and ``figure_``. Colors are those of Okabe and Ito; markers, dashes or titles
repeat what colors say.
"""

from sktsrep.plotting.anomaly import AnomalyDisplay
from sktsrep.plotting.augmentation import AugmentationDisplay
from sktsrep.plotting.codebook import CodebookDisplay
from sktsrep.plotting.decoding import DecodingDisplay, MaskScheduleDisplay
from sktsrep.plotting.embedding import EmbeddingDisplay
from sktsrep.plotting.history import HistoryDisplay
from sktsrep.plotting.reconstruction import ReconstructionDisplay
from sktsrep.plotting.samples import SamplesDisplay
from sktsrep.plotting.spectrogram import SpectrogramDisplay

__all__ = [
    "AnomalyDisplay",
    "AugmentationDisplay",
    "CodebookDisplay",
    "DecodingDisplay",
    "EmbeddingDisplay",
    "HistoryDisplay",
    "MaskScheduleDisplay",
    "ReconstructionDisplay",
    "SamplesDisplay",
    "SpectrogramDisplay",
]


def __dir__() -> list[str]:
    return __all__
