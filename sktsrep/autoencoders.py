"""Variational auto-encoder of series."""

from numbers import Integral, Real

import numpy as np
import torch
from sklearn.base import _fit_context
from sklearn.callback import with_callbacks
from sklearn.utils._param_validation import Interval
from sklearn.utils.validation import check_array, check_is_fitted
from torch import nn

from sktsrep._net import fit_net
from sktsrep._validation import check_positive_int, validate_series
from sktsrep.base import (
    ScoreSamplesMixin,
    SpectralEstimator,
    all_or_nothing,
    random_seed,
    to_tensor,
)
from sktsrep.functional import gaussian_kl, gaussian_nll
from sktsrep.nn import Decoder, EmbeddingMonitor, SeriesEncoder, TrainingModule

__all__ = ["VAE"]


class _VariationalAutoencoder(TrainingModule):
    """Gaussian encoder and decoder; ``forward`` gives the two parts of the ELBO."""

    def __init__(self, *, latent_dim, beta, n_observed, **backbone):
        super().__init__()
        hidden_dim = backbone["hidden_dim"]
        self.latent_dim = latent_dim
        self.beta = beta
        self.n_timepoints = backbone["n_timepoints"]
        self.n_observed = n_observed
        self.encoder = SeriesEncoder(out_dim=hidden_dim, **backbone)
        n_tokens = self.encoder.sizes[-1]
        self.posterior = nn.Linear(hidden_dim * n_tokens, 2 * latent_dim)
        self.expand = nn.Sequential(
            nn.Linear(latent_dim, hidden_dim * n_tokens),
            nn.Unflatten(1, (hidden_dim, n_tokens)),
        )
        self.decoder = Decoder(
            hidden_dim,
            hidden_dim,
            self.encoder.in_channels,
            self.encoder.sizes[::-1],
            backbone["n_blocks"],
        )
        # One variance for all observations, learned.
        self.log_variance = nn.Parameter(torch.zeros(()))
        self.monitor = EmbeddingMonitor(latent_dim)

    def start(self, x):
        """Take what the encoder needs from the data."""
        self.encoder.start(x)

    def encode(self, x):
        """(batch, channels, time) -> mean and log variance (batch, latent_dim)."""
        latent = self.encoder(x).flatten(start_dim=1)
        return self.posterior(latent).float().chunk(2, dim=1)

    def decode(self, z):
        """(batch, latent_dim) -> mean of the series (batch, channels, time)."""
        spectrogram = self.decoder(self.expand(z)).float()
        return self.encoder.series(spectrogram, self.n_timepoints)

    def bound_terms(self, x, noise):
        """Reconstruction and KL divergence, in nats a series, by one draw.

        ``noise`` is standard normal, (batch, latent_dim) or one row for all.
        """
        mean, log_variance = self.encode(x)
        nll = gaussian_nll(
            *self._observed_and_decoded(x, mean, log_variance, noise),
            self.log_variance,
        )
        self.monitor(mean)
        return nll, gaussian_kl(mean, log_variance)

    def squared_error(self, x, noise):
        """Mean squared error of every series, decoded from one draw."""
        observed, decoded = self._observed_and_decoded(x, *self.encode(x), noise)
        return (decoded - observed).square().mean(dim=(1, 2))

    def _observed_and_decoded(self, x, mean, log_variance, noise):
        z = mean + (0.5 * log_variance).exp() * noise  # reparameterization
        # Timepoints that only fill the last hop are no observations.
        observed = slice(self.n_observed)
        return x[..., observed], self.decode(z)[..., observed]

    def forward(self, x):
        """Loss terms of standardized series (batch, channels, time)."""
        noise = torch.randn(len(x), self.latent_dim, device=x.device)
        nll, divergence = self.bound_terms(x, noise)
        return {
            "reconstruction_loss": nll.mean(),
            "divergence_loss": self.beta * divergence.mean(),
        }

    def epoch_metrics(self):
        return self.monitor.epoch_metrics()


class VAE(ScoreSamplesMixin, SpectralEstimator):
    """Variational auto-encoder with a Gaussian posterior and likelihood [1]_.

    Series are encoded by the tokenizer's convolutions over the time-frequency domain to
    one latent vector, and decoded from it. The likelihood has one variance for all
    values: learned, and in the end that which maximizes the bound of the training data.

    Parameters
    ----------
    latent_dim : int, default=16
        Dimension of the latent vector.
    beta : float, default=1.0
        Weight of the KL divergence; 1 is the evidence lower bound.
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
        Passes over the data; "auto" makes about 1000 optimizer steps, of large data
        up to 2500, fourteen passes.
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
        Share of series held out for it.
    n_iter_no_change : int, default=10
        Epochs without a lower validation loss before it stops.
    amp : bool, default=False
        Forward passes in bfloat16 where torch deems it safe.
    compile : bool, default=False
        Compile the network's blocks with :func:`torch.compile`.
    device : str or torch.device, default="auto"
        "auto" is CUDA where there is one.
    random_state : int, RandomState instance or None, default=None
        Decides weights, batches and draws from the posterior.
    verbose : int, default=0
        Whether to print a line an epoch.
    callbacks : list of skorch callbacks, default=None
        Called during training. Scikit-learn's go to ``set_callbacks``.

    Attributes
    ----------
    net_ : SeriesNet
        The trained skorch net; ``net_.module_`` is the torch module.
    history_ : DataFrame
        One row an epoch: ``reconstruction_loss`` (at the variance then) and
        ``divergence_loss`` in nats a (standardized) series; ``effective_rank`` and
        ``feature_std`` of the posterior means; its duration ``dur`` in seconds.
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
    .. [1] Kingma, Welling 2014, "Auto-encoding variational Bayes", arXiv 1312.6114.

    Examples
    --------
    >>> import numpy as np
    >>> from sktsrep.autoencoders import VAE
    >>> X = np.sin(np.linspace(0, 9, 48) + np.arange(20)[:, None])
    >>> vae = VAE(3, hidden_dim=8, max_epochs=2, random_state=0, device="cpu")
    >>> vae.fit_transform(X).shape, vae.sample(5).shape
    ((20, 3), (5, 48))
    """

    _auto_steps = 1000

    _parameter_constraints = {
        "latent_dim": [Interval(Integral, 1, None, closed="left")],
        "beta": [Interval(Real, 0, None, closed="left")],
        **SpectralEstimator._parameter_constraints,
    }

    def __init__(
        self,
        latent_dim=16,
        *,
        beta=1.0,
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
        self.latent_dim = latent_dim
        self.beta = beta
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
        """Maximize the evidence lower bound; no labels are used.

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
        X = validate_series(self, X, reset=True)
        series = self._fit_series(X)
        n_observed = series.shape[-1] if X.ndim == 4 else X.shape[-1]
        seed = random_seed(self.random_state)
        fit_net(
            self,
            _VariationalAutoencoder,
            dict(latent_dim=self.latent_dim, beta=self.beta, n_observed=n_observed)
            | self._backbone_params,
            [series],
            seed,
        )
        self._fit_variance(series.cpu(), seed)
        return self

    def _fit_variance(self, series, seed):
        """Set the likelihood's variance to the mean squared error, its best value.

        The steps of a training are too small and too few to bring it there.
        """
        module = self._module
        generator = torch.Generator().manual_seed(seed)
        noise = torch.randn(len(series), module.latent_dim, generator=generator)
        errors = self._predict_chunks(module.squared_error, series, noise)
        with torch.no_grad():
            module.log_variance.fill_(errors.mean().clamp(min=1e-6).log())

    @property
    def _n_features_out(self):
        return self._module.latent_dim

    def transform(self, X):
        """Means of the posterior.

        Parameters
        ----------
        X : array-like of the shape that ``fit`` saw
            Series or spectrograms.

        Returns
        -------
        ndarray of shape (n_samples, latent_dim)
            In the float dtype of ``X``.
        """
        return self._embed(X, lambda x: self._module.encode(x)[0])

    def inverse_transform(self, X):
        """Series of latent vectors: the likelihood's mean.

        Parameters
        ----------
        X : array-like of shape (n_samples, latent_dim)
            Latent vectors.

        Returns
        -------
        ndarray
            Of the sample shape and dtype that ``fit`` saw.
        """
        check_is_fitted(self)
        X = check_array(X, dtype=np.float32, input_name="X")
        latent_dim = self._module.latent_dim
        if X.shape[1] != latent_dim:
            raise ValueError(
                f"X has {X.shape[1]} features, but VAE.inverse_transform is expecting "
                f"latent_dim={latent_dim} features as input."
            )
        latent = to_tensor(X, "cpu")
        return self._restore(self._predict_chunks(self._module.decode, latent))

    def reconstruct(self, X):
        """Encode to the posterior's means and decode.

        Parameters
        ----------
        X : array-like of the shape that ``fit`` saw
            Series or spectrograms.

        Returns
        -------
        ndarray
            Of the same shape, in the dtype that ``fit`` saw.
        """
        X, module = self._check(X), self._module
        series = self._apply(X, lambda x: module.decode(module.encode(x)[0]))
        return self._restore(series)

    def sample(self, n_samples=1, random_state=None):
        """New series: the likelihood's mean at draws from the prior.

        Parameters
        ----------
        n_samples : int, default=1
            How many.
        random_state : int, RandomState instance or None, default=None
            Decides the samples; None takes the estimator's.

        Returns
        -------
        ndarray
            ``n_samples`` samples of the shape and dtype that ``fit`` saw.
        """
        check_is_fitted(self)
        check_positive_int(n_samples, "n_samples")
        with self._isolated(random_state):
            latent = torch.randn(n_samples, self._module.latent_dim)
        return self.inverse_transform(latent.numpy())

    def score_samples(self, X, n_draws=16, random_state=None):
        """Evidence lower bound of the log density of every series, in nats.

        Parameters
        ----------
        X : array-like of the shape that ``fit`` saw
            Series or spectrograms.
        n_draws : int, default=16
            Draws from the posterior that are averaged.
        random_state : int, RandomState instance or None, default=None
            Decides the draws; None takes the estimator's.

        Returns
        -------
        ndarray of shape (n_samples,)
            In the units of ``X``; of spectrograms, the density of their series, which
            last whole hops. Low for unusual series.
        """
        X = self._check(X)
        check_positive_int(n_draws, "n_draws")
        module = self._module
        with self._isolated(random_state):
            # The same draws for every series: its score depends on no other.
            draws = torch.randn(n_draws, module.latent_dim)

        def bound(series):
            noises = draws.to(series.device)
            negative = [sum(module.bound_terms(series, noise)) for noise in noises]
            return -torch.stack(negative).double().mean(dim=0)

        bounds = self._apply(X, bound)
        # Change of variables: the module sees standardized series.
        return bounds - module.n_observed * float(np.log(self.scale_).sum())
