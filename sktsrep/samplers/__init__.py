"""Stage 2: new series from a model of their tokens."""

from sktsrep.samplers.autoregressive import AutoregressiveSampler
from sktsrep.samplers.base import TokenSampler
from sktsrep.samplers.maskgit import MaskGITSampler

__all__ = ["AutoregressiveSampler", "MaskGITSampler", "TokenSampler"]


def __dir__() -> list[str]:
    return __all__
