"""Data to try things on: synthetic recordings and series, and sets of the archive."""

from sktsrep.datasets.archive import load_ucr
from sktsrep.datasets.synthetic import make_recording, make_series

__all__ = ["load_ucr", "make_recording", "make_series"]


def __dir__() -> list[str]:
    return __all__
