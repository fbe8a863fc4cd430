"""The training engine: the one package that knows skorch.

Training data are tensors on the device, or on the host if they are large. A batch is a
selection of rows there. Loss terms are collected on the device, and the host reads them
once per epoch.
"""

from sktsrep._training.batches import DeviceBatches, Rows
from sktsrep._training.callbacks import FitProgress, check_callbacks, freeze
from sktsrep._training.engine import resolve_epochs, train
from sktsrep._training.net import SeriesNet

__all__ = [
    "DeviceBatches",
    "FitProgress",
    "Rows",
    "SeriesNet",
    "check_callbacks",
    "freeze",
    "resolve_epochs",
    "train",
]
