"""Stage 1: series to discrete tokens and to embeddings (NC-VQVAE)."""

from numbers import Integral, Real

import torch
from sklearn.base import _fit_context
from sklearn.callback import with_callbacks
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from sktsrep._ncvqvae import Autoencoder
from sktsrep._net import fit_net
from sktsrep._validation import validate_codes, validate_series
from sktsrep.augmentations import resolve_augmentations
from sktsrep.base import (
    ScoreSamplesMixin,
    SpectralEstimator,
    all_or_nothing,
    random_seed,
)
from sktsrep.objectives import OBJECTIVES, Objective, resolve_objective

__all__ = ["SSLVQTokenizer"]


def _gives_codes(tokenizer):
    return tokenizer.output == "codes"


def _resolve_n_codes(n_codes, n_samples):
    if n_codes == "auto":
        return 128 if n_samples < 500 else 512
    return n_codes


class SSLVQTokenizer(ScoreSamplesMixin, SpectralEstimator):
    """NC-VQVAE tokenizer: vector-quantized auto-encoder with a self-supervised loss.

    Series are transformed to the time-frequency domain, encoded by residual
    convolutions, quantized and decoded; beside the reconstruction, a non-contrastive
    loss brings the quantized features of a series and those of an augmented view of
    it together [1]_.

    Parameters
    ----------
    ssl : {"barlow_twins", "byol", "simclr", "vibcreg", "vicreg"}, Objective or None, \
            default="vibcreg"
        Self-supervised objective, by name or as an object of
        :mod:`sktsrep.objectives`, whose parameters can be searched as ``ssl__...``;
        None is a plain VQ-VAE, without views: ``augmentations``, ``ssl_weight`` and
        ``augmented_weight`` do nothing then.
    output : {"embeddings", "codes"}, default="embeddings"
        What ``transform`` gives: features for a probe, or tokens.
    features : {"all", "latent", "tokens"}, default="all"
        What embeddings summarize, by mean, maximum, minimum and share of positive
        values over time: the frequency bins' log amplitudes, what every block of the
        encoder adds, the latent map and its quantized version; the latent map; or the
        quantized version alone, which is all that a generator sees. Of the latent map
        and its quantized version also the maximum in every quarter of the time.
    augmentations : str, callable or list of those, default="shift"
        How a view is made: a preset's name (``"gauss"``, ``"slice"``, ``"warp"``,
        ``"crop"``, ``"shift"``) or functions of tensors, see
        :mod:`sktsrep.augmentations`. "shift" moves series in time and adds noise of
        0.02 standard deviations.
    n_codes : int or "auto", default="auto"
        Size of the codebook; "auto" is 128, and 512 from 500 series on, which few
        series would be learned by heart with.
    code_dim : int, default=64
        Dimension of a code.
    codebook_update : {"ema", "gradient"}, default="ema"
        Moving averages or the codebook loss.
    codebook_init : {"kmeans", "normal"}, default="kmeans"
        Centers of the untrained encoder's output, or Gaussian of its mean and spread.
    codebook_decay : float, default=0.99
        Decay of the moving averages, reached within some hundred steps.
    revival_threshold : float, default=0.05
        Share of fair use below which a code restarts at a random latent vector; 0 for
        never.
    commitment_weight : float, default=0.25
        Weight of the commitment loss.
    orthogonal_weight : float, default=0.0
        Weight of the orthogonal regularization of the codes; only for
        ``codebook_update="gradient"``.
    ssl_weight : float, default=0.1
        Weight of the self-supervised loss.
    augmented_weight : float, default=0.1
        Weight of the reconstruction of the augmented view.
    shift_probability : float, default=0.5
        Probability that a series is moved in time, as by
        :func:`~sktsrep.augmentations.time_shift`, before it is encoded and
        reconstructed in training; 0 for never.
    n_fft : int or "auto", default="auto"
        Length of the STFT's window in timepoints; "auto" is the smallest power of two,
        from 8 up, that makes no more than 64 hops. Spectrograms bring their own.
    hop_length : int, default=None
        Timepoints between frames; None is a quarter of ``n_fft``. For spectrograms,
        as the :class:`~sktsrep.preprocessing.STFTTransformer` had it.
    max_tokens : int, default=32
        The encoder halves the frames until there are no more than this many tokens.
    hidden_dim : int, default=64
        Channels of the convolutions.
    n_blocks : int, default=2
        Residual blocks a stage.
    max_epochs : int or "auto", default="auto"
        Passes over the data; "auto" makes about 800 optimizer steps, of large data
        up to 2000, fourteen passes.
    batch_size : int, default=64
        Series a step.
    lr : float, default=1e-3
        Learning rate of AdamW at the start; it falls to zero on a cosine.
    weight_decay : float, default=1e-4
        Of AdamW; the codebook has none.
    gradient_clip : float, default=1.0
        Largest norm of the gradient; None for no limit.
    early_stopping : bool, default=False
        Whether to stop when the loss of held-out series stops falling, and keep the
        best weights.
    validation_fraction : float, default=0.1
        Share of series held out for it. Self-supervised losses want some dozens: they
        compare the series of a batch with each other.
    n_iter_no_change : int, default=10
        Epochs without a lower validation loss before it stops.
    amp : bool, default=False
        Forward passes in bfloat16 where torch deems it safe.
    compile : bool, default=False
        Compile the network's blocks with :func:`torch.compile`.
    device : str or torch.device, default="auto"
        "auto" is CUDA where there is one.
    random_state : int, RandomState instance or None, default=None
        Decides weights, batches and augmentations.
    verbose : int, default=0
        Whether to print a line an epoch.
    callbacks : list of skorch callbacks, default=None
        Called during training. Scikit-learn's go to ``set_callbacks``.

    Attributes
    ----------
    net_ : SeriesNet
        The trained skorch net; ``net_.module_`` is the torch module.
    codebook_ : ndarray of shape (n_codes, code_dim)
        The codes.
    token_shape_ : tuple of int
        Shape of one series' tokens, ``(n_tokens,)``.
    history_ : DataFrame
        One row an epoch: every loss term; over the epoch ``perplexity``,
        ``codebook_usage`` (share of codes in use), ``effective_rank`` and
        ``feature_std`` (mean standard deviation) of the pooled quantized features; its
        duration ``dur`` in seconds.
    n_iter_ : int
        Epochs trained.
    mean_ : ndarray of shape (n_channels, n_timepoints)
        What is subtracted from series, extended to whole hops: every channel's mean
        and, of a shape that all training series share, what exceeds ten times the
        variance around it.
    scale_ : ndarray of shape (n_channels, 1)
        Standard deviation of what is left of the training data, by channel.
    sample_shape_ : tuple of int
        Shape of one sample in ``fit``.
    n_features_in_ : int
        Size of the second axis in ``fit``.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Only when ``X`` has feature names that are all strings.

    References
    ----------
    .. [1] Mathisen, Lokna, Lee, Aune 2024, arXiv 2408.16613.

    Examples
    --------
    >>> import numpy as np
    >>> from sktsrep.tokenizers import SSLVQTokenizer
    >>> X = np.sin(np.linspace(0, 9, 48) + np.arange(20)[:, None])
    >>> tokenizer = SSLVQTokenizer(
    ...     n_codes=8, hidden_dim=8, max_epochs=2, random_state=0, device="cpu"
    ... )
    >>> tokenizer.fit_transform(X).shape
    (20, 1140)
    >>> tokens = tokenizer.encode(X)
    >>> tokens.shape, tokenizer.decode(tokens).shape
    ((20, 25), (20, 48))
    """

    _auto_steps = 800

    _parameter_constraints = {
        "ssl": [StrOptions(set(OBJECTIVES)), Objective, None],
        "output": [StrOptions({"embeddings", "codes"})],
        "features": [StrOptions({"all", "latent", "tokens"})],
        "augmentations": [str, callable, list],
        "n_codes": [Interval(Integral, 2, None, closed="left"), StrOptions({"auto"})],
        "code_dim": [Interval(Integral, 1, None, closed="left")],
        "codebook_update": [StrOptions({"ema", "gradient"})],
        "codebook_init": [StrOptions({"kmeans", "normal"})],
        "codebook_decay": [Interval(Real, 0, 1, closed="left")],
        "revival_threshold": [Interval(Real, 0, 1, closed="left")],
        "commitment_weight": [Interval(Real, 0, None, closed="left")],
        "orthogonal_weight": [Interval(Real, 0, None, closed="left")],
        "ssl_weight": [Interval(Real, 0, None, closed="left")],
        "augmented_weight": [Interval(Real, 0, None, closed="left")],
        "shift_probability": [Interval(Real, 0, 1, closed="both")],
        **SpectralEstimator._parameter_constraints,
    }

    def __init__(
        self,
        ssl="vibcreg",
        *,
        output="embeddings",
        features="all",
        augmentations="shift",
        n_codes="auto",
        code_dim=64,
        codebook_update="ema",
        codebook_init="kmeans",
        codebook_decay=0.99,
        revival_threshold=0.05,
        commitment_weight=0.25,
        orthogonal_weight=0.0,
        ssl_weight=0.1,
        augmented_weight=0.1,
        shift_probability=0.5,
        n_fft="auto",
        hop_length=None,
        max_tokens=32,
        hidden_dim=64,
        n_blocks=2,
        max_epochs="auto",
        batch_size=64,
        lr=1e-3,
        weight_decay=1e-4,
        gradient_clip=1.0,
        early_stopping=False,
        validation_fraction=0.1,
        n_iter_no_change=10,
        amp=False,
        compile=False,
        device="auto",
        random_state=None,
        verbose=0,
        callbacks=None,
    ):
        self.ssl = ssl
        self.output = output
        self.features = features
        self.augmentations = augmentations
        self.n_codes = n_codes
        self.code_dim = code_dim
        self.codebook_update = codebook_update
        self.codebook_init = codebook_init
        self.codebook_decay = codebook_decay
        self.revival_threshold = revival_threshold
        self.commitment_weight = commitment_weight
        self.orthogonal_weight = orthogonal_weight
        self.ssl_weight = ssl_weight
        self.augmented_weight = augmented_weight
        self.shift_probability = shift_probability
        self.n_fft = n_fft
        self.hop_length = hop_length
        self.max_tokens = max_tokens
        self.hidden_dim = hidden_dim
        self.n_blocks = n_blocks
        self.max_epochs = max_epochs
        self.batch_size = batch_size
        self.lr = lr
        self.weight_decay = weight_decay
        self.gradient_clip = gradient_clip
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.amp = amp
        self.compile = compile
        self.device = device
        self.random_state = random_state
        self.verbose = verbose
        self.callbacks = callbacks

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        if self.output == "codes":  # integers whatever the input
            tags.transformer_tags.preserves_dtype = []
        return tags

    @_fit_context(prefer_skip_nested_validation=False)
    @all_or_nothing
    @with_callbacks
    def fit(self, X, y=None):
        """Train the tokenizer; no labels are used.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_timepoints), (n_samples, n_channels, \
                n_timepoints) or (n_samples, 2 * n_channels, n_freqs, n_frames)
            Series or, with four axes, the output of
            :class:`~sktsrep.preprocessing.STFTTransformer`.
        y : None
            Ignored.

        Returns
        -------
        self
        """
        if self.orthogonal_weight and self.codebook_update == "ema":
            raise ValueError(
                "orthogonal_weight needs codebook_update='gradient': moving averages "
                "would wipe its effect out at every step."
            )
        X = validate_series(self, X, reset=True)
        params = self._module_params(_resolve_n_codes(self.n_codes, len(X)))
        series = self._fit_series(X)
        fit_net(
            self,
            Autoencoder,
            params | self._backbone_params,
            [series],
            random_seed(self.random_state),
        )
        self._warn_if_collapsed()
        module = self._module
        self.codebook_ = module.quantizer.codebook.detach().cpu().numpy().copy()
        self.token_shape_ = (module.encoder.sizes[-1],)
        return self

    def _module_params(self, n_codes):
        return dict(
            code_dim=self.code_dim,
            objective=resolve_objective(self.ssl),
            augmentations=resolve_augmentations(self.augmentations),
            ssl_weight=self.ssl_weight,
            augmented_weight=self.augmented_weight,
            shift_probability=self.shift_probability,
            codebook_init=self.codebook_init,
            quantizer=dict(
                n_codes=n_codes,
                update=self.codebook_update,
                decay=self.codebook_decay,
                commitment_weight=self.commitment_weight,
                orthogonal_weight=self.orthogonal_weight,
                revival_threshold=self.revival_threshold,
            ),
        )

    @property
    def _n_features_out(self):
        if self.output == "codes":
            return self.token_shape_[0]
        encoder = self._module.encoder
        if self.features == "all":
            return encoder.n_features + encoder.n_latent_features
        return encoder.n_latent_features

    def transform(self, X):
        """Embeddings or codes of series, as ``output`` says.

        Parameters
        ----------
        X : array-like of the shape that ``fit`` saw
            Series or spectrograms.

        Returns
        -------
        ndarray of shape (n_samples, n_features) or (n_samples, n_tokens)
            Embeddings in the float dtype of ``X``, or codes (int64).
        """
        if self.output == "codes":
            return self.encode(X)
        return self._embed(X, lambda x: self._module.embed(x, self.features))

    def encode(self, X):
        """Tokens of series.

        Parameters
        ----------
        X : array-like of the shape that ``fit`` saw
            Series or spectrograms.

        Returns
        -------
        ndarray of shape (n_samples, n_tokens), int64
            Indices into ``codebook_``.
        """
        X = self._check(X)
        return self._apply(X, self._module.tokens)

    def decode(self, codes):
        """Series of tokens.

        Parameters
        ----------
        codes : array-like of shape (n_samples, n_tokens), int
            Indices into ``codebook_``.

        Returns
        -------
        ndarray
            Of the sample shape and dtype that ``fit`` saw.
        """
        check_is_fitted(self)
        codes = validate_codes(codes, self.token_shape_[0], len(self.codebook_))
        series = self._predict_chunks(self._module.decode_tokens, torch.tensor(codes))
        return self._restore(series)

    @available_if(_gives_codes)
    def inverse_transform(self, X):
        """Series of tokens, the same as :meth:`decode`; only with ``output="codes"``.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_tokens), int
            Indices into ``codebook_``.

        Returns
        -------
        ndarray
            Of the sample shape and dtype that ``fit`` saw.
        """
        return self.decode(X)

    def reconstruct(self, X):
        """Encode and decode.

        Parameters
        ----------
        X : array-like of the shape that ``fit`` saw
            Series or spectrograms.

        Returns
        -------
        ndarray
            Of the same shape, in the dtype that ``fit`` saw.
        """
        return self.decode(self.encode(X))

    def score_samples(self, X):
        """Negative mean squared reconstruction error of every standardized series.

        Parameters
        ----------
        X : array-like of the shape that ``fit`` saw
            Series or spectrograms.

        Returns
        -------
        ndarray of shape (n_samples,)
            At most 0; low for unusual series.

        Notes
        -----
        Series that ``fit`` saw are reconstructed best: take a threshold from others.
        The mean, :meth:`score`, knows of reconstruction only: of ``ssl``, None is the
        best to it. For embeddings, search a probe's score.
        """
        X = self._check(X)
        module = self._module

        def squared_error(series):
            decoded = module.decode_tokens(module.tokens(series))
            return (decoded - series).square().mean(dim=(1, 2))

        return -self._apply(X, squared_error)
