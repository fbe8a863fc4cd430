"""Representations of time series without labels, and new series from them.

Where to begin, with series ``(n_samples, [n_channels,] n_timepoints)``:

- ``PretrainedEncoder().fit_transform(X)``: embeddings, without training;
- ``SSLEncoder().fit(X)``: embeddings, trained on your series;
- ``SSLVQTokenizer().fit(X)``: tokens, embeddings and reconstructions;
- ``MaskGITSampler(tokenizer).fit(X).sample(100)``: new series;
- ``GaussianImputer().fit(X).transform(gaps)``: filled gaps;
- ``AnomalyDetector().fit(X).score_timepoints(X)``: what is unusual, and when;
- ``Windows(length=96).fit_transform(recording)``: series from a long recording;
- ``sktsrep.plotting`` draws all of that, ``sktsrep.metrics`` judges it, and
  ``sktsrep.datasets`` has something to try it on.

The documentation is at https://sktsrep.readthedocs.io.
"""

from importlib import import_module
from importlib.metadata import version

from sktsrep._blocks import block_function
from sktsrep._config import config_context
from sktsrep._versions import load
from sktsrep.anomaly import AnomalyDetector
from sktsrep.autoencoders import VAE
from sktsrep.classifiers import FineTunedClassifier
from sktsrep.encoders import SSLEncoder
from sktsrep.fcn import FCNClassifier
from sktsrep.imputation import GaussianImputer
from sktsrep.model_selection import WindowKFold
from sktsrep.preprocessing import STFTTransformer
from sktsrep.pretrained import PretrainedEncoder
from sktsrep.recordings import Windows
from sktsrep.samplers import AutoregressiveSampler, MaskGITSampler
from sktsrep.tokenizers import SSLVQTokenizer

__all__ = [
    "VAE",
    "AnomalyDetector",
    "AutoregressiveSampler",
    "FCNClassifier",
    "FineTunedClassifier",
    "GaussianImputer",
    "MaskGITSampler",
    "PretrainedEncoder",
    "SSLEncoder",
    "SSLVQTokenizer",
    "STFTTransformer",
    "WindowKFold",
    "Windows",
    "block_function",
    "config_context",
    "load",
]
__version__ = version("sktsrep")

_LAZY = ("datasets", "metrics", "plotting")  # imported where they are first used
_SHELVES = (
    *_LAZY,
    "augmentations",
    "functional",
    "networks",
    "nn",
    "objectives",
    "quantizers",
)


def __getattr__(name):
    if name in _LAZY:
        return import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__():  # what tab completion shows
    return [*__all__, *_SHELVES, "__version__"]
