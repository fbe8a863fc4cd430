"""Joint-embedding encoders: continuous representations without a decoder."""

from numbers import Integral

from sklearn.base import _fit_context
from sklearn.callback import with_callbacks
from sklearn.utils._param_validation import Interval, StrOptions

from sktsrep._net import fit_net
from sktsrep._validation import validate_series
from sktsrep.augmentations import augment, resolve_augmentations
from sktsrep.base import SpectralEstimator, all_or_nothing, random_seed
from sktsrep.nn import (
    EmbeddingMonitor,
    SeriesEncoder,
    TrainingModule,
    pool,
    summarize_latent,
)
from sktsrep.objectives import OBJECTIVES, JointEmbedding, Objective, resolve_objective

__all__ = ["SSLEncoder"]


class _JointEncoder(TrainingModule):
    """Two views through one encoder; ``forward`` gives the objective's loss terms."""

    def __init__(self, *, latent_dim, objective, augmentations, **backbone):
        super().__init__()
        self.augmentations = augmentations
        self.encoder = SeriesEncoder(out_dim=latent_dim, **backbone)
        self.joint_embedding = JointEmbedding(objective, self.encoder, latent_dim)
        self.monitor = EmbeddingMonitor(2 * latent_dim)

    def start(self, x):
        """Take what encoder and target network need from the data."""
        self.encoder.start(x)
        self.joint_embedding.start(self.encoder)

    def embed(self, x, features):
        """Series -> summarized features (batch, n_features)."""
        if features == "latent":
            return summarize_latent(self.encoder(x))
        return self.encoder.embed(x)

    def forward(self, x):
        """Loss terms of standardized series (batch, channels, time)."""
        view, other = (augment(x, self.augmentations) for _ in range(2))
        z, z_other = self.encoder(view), self.encoder(other)
        self.monitor(pool(z))
        return self.joint_embedding(z, z_other, view, other)

    def after_step(self, progress):
        self.joint_embedding.follow(self.encoder, progress)

    def epoch_metrics(self):
        return self.monitor.epoch_metrics()


class SSLEncoder(SpectralEstimator):
    """Self-supervised encoder: two augmented views of a series get one embedding.

    The tokenizer's convolutional encoder without quantizer and decoder, trained by the
    objective alone; a projector that is thrown away afterwards stands between them.

    Parameters
    ----------
    ssl : {"barlow_twins", "byol", "simclr", "vibcreg", "vicreg"} or Objective, \
            default="vibcreg"
        Self-supervised objective, by name or as an object of
        :mod:`sktsrep.objectives`, whose parameters can be searched as ``ssl__...``.
    features : {"all", "latent"}, default="all"
        What embeddings summarize, by mean, maximum, minimum and share of positive
        values over time: the frequency bins' log amplitudes, what every block of the
        encoder adds and the latent map, or the latent map alone. Of the latent map also
        the maximum in every quarter of the time.
    augmentations : str, callable or list of those, default="shift"
        How views are made: a preset's name (``"gauss"``, ``"slice"``, ``"warp"``,
        ``"crop"``, ``"shift"``) or functions of tensors, see
        :mod:`sktsrep.augmentations`. "shift" moves series in time and adds noise of
        0.02 standard deviations.
    latent_dim : int, default=64
        Channels of the latent map.
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
        Of AdamW.
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
    history_ : DataFrame
        One row an epoch: every loss term; over the epoch ``effective_rank`` and
        ``feature_std`` (mean standard deviation) of the pooled latent map; its duration
        ``dur`` in seconds.
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

    See Also
    --------
    sktsrep.tokenizers.SSLVQTokenizer : With tokens and a decoder.
    sktsrep.classifiers.FineTunedClassifier : Trains the encoder on with labels.

    Examples
    --------
    >>> import numpy as np
    >>> from sktsrep.encoders import SSLEncoder
    >>> X = np.sin(np.linspace(0, 9, 48) + np.arange(20)[:, None])
    >>> encoder = SSLEncoder(hidden_dim=8, max_epochs=2, random_state=0, device="cpu")
    >>> encoder.fit_transform(X).shape
    (20, 628)
    """

    _auto_steps = 800

    _parameter_constraints = {
        "ssl": [StrOptions(set(OBJECTIVES)), Objective],
        "features": [StrOptions({"all", "latent"})],
        "augmentations": [str, callable, list],
        "latent_dim": [Interval(Integral, 1, None, closed="left")],
        **SpectralEstimator._parameter_constraints,
    }

    def __init__(
        self,
        ssl="vibcreg",
        *,
        features="all",
        augmentations="shift",
        latent_dim=64,
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
        self.features = features
        self.augmentations = augmentations
        self.latent_dim = latent_dim
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

    @_fit_context(prefer_skip_nested_validation=False)
    @all_or_nothing
    @with_callbacks
    def fit(self, X, y=None):
        """Train the encoder; no labels are used.

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
        params = dict(
            latent_dim=self.latent_dim,
            objective=resolve_objective(self.ssl),
            augmentations=resolve_augmentations(self.augmentations),
        )
        X = validate_series(self, X, reset=True)
        series = self._fit_series(X)
        fit_net(
            self,
            _JointEncoder,
            params | self._backbone_params,
            [series],
            random_seed(self.random_state),
        )
        self._warn_if_collapsed()
        return self

    @property
    def _n_features_out(self):
        encoder = self._module.encoder
        if self.features == "latent":
            return encoder.n_latent_features
        return encoder.n_features

    def transform(self, X):
        """Embeddings of series.

        Parameters
        ----------
        X : array-like of the shape that ``fit`` saw
            Series or spectrograms.

        Returns
        -------
        ndarray of shape (n_samples, n_features)
            In the float dtype of ``X``.
        """
        return self._embed(X, lambda x: self._module.embed(x, self.features))
