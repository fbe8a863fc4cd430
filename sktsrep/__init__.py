"""Representations of time series without labels, and new series from them."""

from importlib.metadata import version

from sktsrep.autoencoders import VAE
from sktsrep.classifiers import FineTunedClassifier
from sktsrep.encoders import SSLEncoder
from sktsrep.fcn import FCNClassifier
from sktsrep.preprocessing import STFTTransformer
from sktsrep.samplers import AutoregressiveSampler, MaskGITSampler
from sktsrep.tokenizers import SSLVQTokenizer

__all__ = [
    "VAE",
    "AutoregressiveSampler",
    "FCNClassifier",
    "FineTunedClassifier",
    "MaskGITSampler",
    "SSLEncoder",
    "SSLVQTokenizer",
    "STFTTransformer",
]
__version__ = version("sktsrep")
