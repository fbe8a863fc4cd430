"""Representations of time series without labels, and new series from them."""

from importlib.metadata import version

from sktsrep.preprocessing import STFTTransformer
from sktsrep.samplers import MaskGITSampler
from sktsrep.tokenizers import SSLVQTokenizer

__all__ = ["MaskGITSampler", "SSLVQTokenizer", "STFTTransformer"]
__version__ = version("sktsrep")
