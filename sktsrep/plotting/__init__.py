"""Displays in the manner of scikit-learn's, drawn with matplotlib.

A display holds the data of a picture. It is built by ``from_estimator`` or from arrays,
and ``plot(ax=None)`` draws it, on the axes given or in a new figure, and keeps them as
``ax_`` and ``figure_``. Colors are Okabe and Ito's; what they tell, markers, dashes or
titles tell too.
"""

from sktsrep.plotting.augmentation import AugmentationDisplay
from sktsrep.plotting.codebook import CodebookDisplay
from sktsrep.plotting.decoding import DecodingDisplay, MaskScheduleDisplay
from sktsrep.plotting.embedding import EmbeddingDisplay
from sktsrep.plotting.history import HistoryDisplay
from sktsrep.plotting.reconstruction import ReconstructionDisplay
from sktsrep.plotting.samples import SamplesDisplay
from sktsrep.plotting.spectrogram import SpectrogramDisplay

__all__ = [
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
