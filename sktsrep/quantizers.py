"""Quantizers: what ``quantizer=`` of a tokenizer takes.

A quantizer is a scikit-learn parameter object that makes the module between encoder and
decoder. A new one is one such class and one :class:`sktsrep.nn.QuantizerModule`; the
tokenizer and all that follows it do not change.
"""

import math
from functools import partial
from numbers import Integral, Real

from sklearn.base import BaseEstimator
from sklearn.utils._param_validation import (
    Interval,
    InvalidParameterError,
    StrOptions,
)

from sktsrep._doc_link import DocLinkMixin
from sktsrep.nn import (
    EMAQuantizer,
    FiniteScalarQuantizer,
    GradientQuantizer,
    QuantizerModule,
    ResidualQuantizer,
    VectorQuantizer,
)

__all__ = [
    "FSQ",
    "QUANTIZERS",
    "Codebook",
    "EMACodebook",
    "GradientCodebook",
    "Quantizer",
    "ResidualVQ",
    "resolve_quantizer",
]


def __dir__() -> list[str]:
    return __all__


# Tokens must fit into 32 bits.
_MOST_CODES = 2**31 - 1

# With depth="auto", a place has a token for so many values, and between 8 and 32.
_VALUES_PER_TOKEN = 5
_LEAST_DEPTH, _MOST_DEPTH = 8, 32


class Quantizer(DocLinkMixin, BaseEstimator):
    """Base of all quantizers: parameters of a module.

    Subclasses set their parameters in ``__init__``, ``dim`` among them, and define
    :meth:`make_module`.
    """

    _parameter_constraints: dict = {"dim": [Interval(Integral, 1, None, closed="left")]}

    dim: int

    def make_module(self, n_samples: int, n_values: int) -> QuantizerModule:
        """Make the module, whose size may depend on the data.

        Parameters
        ----------
        n_samples : int
            Series in the training data.
        n_values : int
            Values of a series, of all channels, for each place of the latent map.

        Returns
        -------
        QuantizerModule
        """
        raise TypeError(f"{type(self).__name__} defines no make_module.")


class Codebook(Quantizer):
    """Base of the quantizers that look up the nearest code of a learned codebook."""

    _parameter_constraints: dict = {
        **Quantizer._parameter_constraints,
        "n_codes": [
            Interval(Integral, 2, _MOST_CODES, closed="both"),
            StrOptions({"auto"}),
        ],
        "init": [StrOptions({"kmeans", "normal"})],
        "decay": [Interval(Real, 0, 1, closed="left")],
        "revival_threshold": [Interval(Real, 0, 1, closed="left")],
        "commitment_weight": [Interval(Real, 0, None, closed="left")],
    }

    def __init__(
        self,
        n_codes: int | str = "auto",
        dim: int = 128,
        init: str = "kmeans",
        decay: float = 0.99,
        revival_threshold: float = 0.05,
        commitment_weight: float = 0.25,
    ) -> None:
        self.n_codes = n_codes
        self.dim = dim
        self.init = init
        self.decay = decay
        self.revival_threshold = revival_threshold
        self.commitment_weight = commitment_weight

    def resolve_n_codes(self, n_samples: int) -> int:
        """Find the size of the codebook that ``n_codes`` means."""
        if isinstance(self.n_codes, str):
            return 128 if n_samples < 500 else 512
        return self.n_codes

    def make_module(self, n_samples: int, n_values: int) -> VectorQuantizer:
        """Make the module; see :meth:`Quantizer.make_module`."""
        raise TypeError(f"{type(self).__name__} defines no make_module.")


class EMACodebook(Codebook):
    """Codebook whose codes are moving averages of the vectors assigned to them.

    Training is stable without a learning rate for the codes.

    Parameters
    ----------
    n_codes : int or "auto", default="auto"
        Size of the codebook. "auto" is 128 below 500 series, 512 from there: with
        more codes, a small data set is memorized. More codes reconstruct better, and
        are harder to generate.
    dim : int, default=128
        Dimension of a code. The self-supervised loss of a tokenizer shapes one half;
        the other half is for detail.
    init : {"kmeans", "normal"}, default="kmeans"
        How codes start from the untrained encoder's output: centers of clusters, or
        Gaussian draws of its mean and spread.
    decay : float, default=0.99
        Decay of the moving averages, reached within a few hundred steps.
    revival_threshold : float, default=0.05
        Share of fair use below which a code restarts at a random latent vector; 0 for
        never.
    commitment_weight : float, default=0.25
        Weight of the commitment loss, which keeps latent vectors near their codes.

    References
    ----------
    van den Oord, Vinyals, Kavukcuoglu 2017, "VQ-VAE", arXiv 1711.00937, appendix A.1.

    Examples
    --------
    >>> EMACodebook(512)
    EMACodebook(n_codes=512)
    """

    def make_module(self, n_samples: int, n_values: int) -> EMAQuantizer:
        """Make the module; see :meth:`Quantizer.make_module`."""
        return EMAQuantizer(
            self.resolve_n_codes(n_samples),
            self.dim,
            init=self.init,
            decay=self.decay,
            revival_threshold=self.revival_threshold,
            commitment_weight=self.commitment_weight,
        )


class GradientCodebook(Codebook):
    """Codebook that learns from the codebook loss, by gradient.

    The loss is that of the VQ-VAE [1]_.

    Parameters
    ----------
    n_codes : int or "auto", default="auto"
        Size of the codebook. "auto" is 128 below 500 series, 512 from there: with
        more codes, a small data set is memorized. More codes reconstruct better, and
        are harder to generate.
    dim : int, default=128
        Dimension of a code. The self-supervised loss of a tokenizer shapes one half;
        the other half is for detail.
    init : {"kmeans", "normal"}, default="kmeans"
        How codes start from the untrained encoder's output: centers of clusters, or
        Gaussian draws of its mean and spread.
    decay : float, default=0.99
        Decay of the moving averages of counts, which revival looks at.
    revival_threshold : float, default=0.05
        Share of fair use below which a code restarts at a random latent vector; 0 for
        never.
    commitment_weight : float, default=0.25
        Weight of the commitment loss, which keeps latent vectors near their codes.
    orthogonal_weight : float, default=0.0
        Weight of the orthogonal regularization, which keeps codes apart [2]_.

    References
    ----------
    .. [1] van den Oord, Vinyals, Kavukcuoglu 2017, "VQ-VAE", arXiv 1711.00937,
       equation 3.
    .. [2] Shin et al. 2023, arXiv 2112.00384.

    Examples
    --------
    >>> GradientCodebook(orthogonal_weight=0.1)
    GradientCodebook(orthogonal_weight=0.1)
    """

    _parameter_constraints: dict = {
        **Codebook._parameter_constraints,
        "orthogonal_weight": [Interval(Real, 0, None, closed="left")],
    }

    def __init__(
        self,
        n_codes: int | str = "auto",
        dim: int = 128,
        init: str = "kmeans",
        decay: float = 0.99,
        revival_threshold: float = 0.05,
        commitment_weight: float = 0.25,
        orthogonal_weight: float = 0.0,
    ) -> None:
        super().__init__(
            n_codes, dim, init, decay, revival_threshold, commitment_weight
        )
        self.orthogonal_weight = orthogonal_weight

    def make_module(self, n_samples: int, n_values: int) -> GradientQuantizer:
        """Make the module; see :meth:`Quantizer.make_module`."""
        return GradientQuantizer(
            self.resolve_n_codes(n_samples),
            self.dim,
            orthogonal_weight=self.orthogonal_weight,
            init=self.init,
            decay=self.decay,
            revival_threshold=self.revival_threshold,
            commitment_weight=self.commitment_weight,
        )


class FSQ(Quantizer):
    """Finite scalar quantization: round a few directions to fixed levels.

    There is no codebook that could collapse, and nothing to tune but the levels.

    Parameters
    ----------
    levels : sequence of int, default=(8, 6, 5)
        Levels of every direction, each at least 2. Their product is the size of the
        codebook. The default is the paper's for about 2**8 codes; (8, 5, 5, 5) is
        for 2**10.
    dim : int, default=128
        Dimension of the latent vectors, from which a linear map leads to the directions
        and another one back.

    References
    ----------
    Mentzer et al. 2023, "Finite scalar quantization: VQ-VAE made simple", arXiv
    2309.15505.

    Examples
    --------
    >>> FSQ((8, 5, 5, 5)).make_module(n_samples=100, n_values=4).n_codes
    1000
    """

    _parameter_constraints: dict = {
        **Quantizer._parameter_constraints,
        "levels": ["array-like"],
    }

    def __init__(self, levels: tuple[int, ...] = (8, 6, 5), dim: int = 128) -> None:
        self.levels = levels
        self.dim = dim

    def _validate_params(self) -> None:
        super()._validate_params()
        levels = list(self.levels)
        if not levels or any(
            not isinstance(n, Integral) or isinstance(n, bool) or n < 2 for n in levels
        ):
            raise InvalidParameterError(
                "The 'levels' parameter of FSQ must be one or more ints of at least "
                f"2. Got {self.levels!r} instead."
            )
        _check_size("FSQ", "levels", math.prod(map(int, levels)))

    def make_module(self, n_samples: int, n_values: int) -> FiniteScalarQuantizer:
        """Make the module; see :meth:`Quantizer.make_module`."""
        return FiniteScalarQuantizer([int(n) for n in self.levels], self.dim)


class ResidualVQ(Quantizer):
    """Several codebooks, each on what the ones before have left over.

    The default. It reconstructs better than a single codebook, and its tokens tell
    more. A place of the latent map has ``depth`` tokens, from coarse to fine, side by
    side in the row of a series. The tokens of codebook ``i`` run from ``i * n_codes``
    on, so that a token tells its codebook.

    Parameters
    ----------
    depth : int or "auto", default="auto"
        How many codebooks. More of them reconstruct finer detail. "auto" is one for
        five values that a place stands for, all channels counted, at least 8 and at
        most 32: more than 8 for many channels or very long series.
    codebook : EMACodebook, GradientCodebook or None, default=None
        What each of them is like; None is ``EMACodebook(128)``.
    dropout : float, default=0.0
        Probability that a series is quantized, in training, by a random number of the
        first codebooks only. Coarse tokens then tell more, all tokens together less.

    References
    ----------
    Zeghidour et al. 2021, "SoundStream", arXiv 2107.03312.

    Examples
    --------
    >>> ResidualVQ(depth=3, codebook=EMACodebook(64)).make_module(100, 4).n_codes
    192
    """

    _parameter_constraints: dict = {
        "depth": [Interval(Integral, 1, None, closed="left"), StrOptions({"auto"})],
        "codebook": [Codebook, None],
        "dropout": [Interval(Real, 0, 1, closed="both")],
    }

    def __init__(
        self,
        depth: int | str = "auto",
        codebook: Codebook | None = None,
        dropout: float = 0.0,
    ) -> None:
        self.depth = depth
        self.codebook = codebook
        self.dropout = dropout

    @property
    def _codebook(self) -> Codebook:
        return EMACodebook(128) if self.codebook is None else self.codebook

    @property
    def dim(self) -> int:  # type: ignore[override]
        """Dimension of a code."""
        return self._codebook.dim

    def _validate_params(self) -> None:
        super()._validate_params()
        self._codebook._validate_params()
        largest = self._codebook.resolve_n_codes(_MOST_CODES)
        _check_size("ResidualVQ", "depth", self.resolve_depth(_MOST_CODES) * largest)

    def resolve_depth(self, n_values: int) -> int:
        """Find the number of codebooks that ``depth`` means."""
        if isinstance(self.depth, str):
            wanted = math.ceil(n_values / _VALUES_PER_TOKEN)
            return min(max(wanted, _LEAST_DEPTH), _MOST_DEPTH)
        return self.depth

    def make_module(self, n_samples: int, n_values: int) -> ResidualQuantizer:
        """Make the module; see :meth:`Quantizer.make_module`."""
        make = partial(self._codebook.make_module, n_samples, n_values)
        return ResidualQuantizer(make, self.resolve_depth(n_values), self.dropout)


def _check_size(name: str, parameter: str, n_codes: int) -> None:
    if n_codes > _MOST_CODES:
        raise InvalidParameterError(
            f"The {parameter!r} parameter of {name} must make at most {_MOST_CODES} "
            f"codes. Got {n_codes} instead."
        )


QUANTIZERS: dict[str, type[Quantizer]] = {
    "ema_codebook": EMACodebook,
    "fsq": FSQ,
    "gradient_codebook": GradientCodebook,
    "residual_vq": ResidualVQ,
}


def resolve_quantizer(quantizer: str | Quantizer) -> Quantizer:
    """Find the quantizer that an estimator's parameter means; check its parameters.

    Parameters
    ----------
    quantizer : str or Quantizer
        A key of ``QUANTIZERS``, or a quantizer.

    Returns
    -------
    Quantizer

    Raises
    ------
    ValueError
        For an unknown name or impossible parameters.

    Examples
    --------
    >>> resolve_quantizer("fsq")
    FSQ()
    """
    if isinstance(quantizer, str):
        if quantizer not in QUANTIZERS:
            raise ValueError(
                f"quantizer must name one of {sorted(QUANTIZERS)}, got {quantizer!r} "
                "instead."
            )
        quantizer = QUANTIZERS[quantizer]()
    quantizer._validate_params()
    return quantizer
