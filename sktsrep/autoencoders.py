"""Variational auto-encoder of series."""

import functools
from numbers import Integral, Real

import numpy as np
import torch
from sklearn.utils._param_validation import Interval
from sklearn.utils.validation import check_array, check_is_fitted

from sktsrep._base import ScoreSamplesMixin
from sktsrep._device import as_series, to_tensor
from sktsrep._fit import training_fit
from sktsrep._gaps import end_at, has_gaps, observed_lengths, to_length
from sktsrep._spectral import SpectralEstimator
from sktsrep._storage import row_blocks, stored
from sktsrep._validation import check_positive_int
from sktsrep.networks import VariationalAutoencoder

__all__ = ["VAE"]


class VAE(ScoreSamplesMixin, SpectralEstimator):
    """Variational auto-encoder with a Gaussian posterior and likelihood.

    The tokenizer's convolutions over the time-frequency domain encode a series to one
    latent vector, and decode it. The likelihood has one variance for all values. It is
    learned, and set at the end to what maximizes the bound of the training data.

    It is a model of one length, that of the array in ``fit`` or of the longest series
    in a list. Shorter ones enter with their last value held, and missing values are
    bridged by lines; the likelihood is that of the known values.

    Parameters
    ----------
    latent_dim : int, default=16
        Dimension of the latent vector.
    beta : float, default=1.0
        Weight of the KL divergence; 1 is the evidence lower bound.
    n_fft : int or "auto", default="auto"
        Length of the STFT's window in timepoints. "auto" is the smallest power of two,
        from 8 up, that makes no more than 64 hops. Spectrograms have a window already.
    hop_length : int, default=None
        Timepoints between frames; None is a quarter of ``n_fft``. Spectrograms need
        that of their :class:`~sktsrep.preprocessing.STFTTransformer`.
    max_tokens : int or "auto", default=32
        The encoder halves the frames until no more than this many places are left.
        More of them reconstruct better and make sequences that are harder to generate.
        "auto" is one per four timepoints, and at most 32.
    hidden_dim : int, default=64
        Channels of the convolutions.
    n_blocks : int, default=2
        Residual blocks per stage.
    max_epochs : int or "auto", default="auto"
        Passes over the data; 0 leaves the network untrained. "auto" makes about 1000
        optimizer steps, and up to 2500 on large data, to reach 14 passes.
    batch_size : int, default=64
        Series per step.
    lr : float, default=1e-3
        Learning rate of AdamW at the start; it falls to zero on a cosine.
    weight_decay : float, default=1e-4
        Weight decay of AdamW; a codebook has none.
    early_stopping : bool or int, default=False
        Whether to stop when the loss of held-out series no longer falls, with the best
        weights. An int is the number of epochs to wait; True waits 10.
    validation_fraction : float, "auto" or None, default="auto"
        Share of series that are held out of the training; ``history_`` has their loss
        as ``valid_loss``. They are random ones; of overlapping windows, the last.
        "auto" is 0.1 with early stopping. Without it, "auto" holds out 5 % of 300
        series or more, at most 64, and none of fewer. None holds out none.
        Self-supervised losses compare the series of a batch with each other, so hold
        out a few dozen.
    amp : bool, default=False
        Whether forward passes run in bfloat16 where torch deems it safe.
    compile : bool, default=False
        Whether to compile the network's blocks with :func:`torch.compile`.
    device : str or torch.device, default="auto"
        Where to compute; "auto" is CUDA when available.
    random_state : int, RandomState instance or None, default=None
        Decides everything random in ``fit``, and in methods that are given no other.
    verbose : int, default=0
        Whether to print a line per epoch.
    callbacks : list of skorch callbacks, default=None
        Called during training. Those of scikit-learn 1.9 or newer go to
        ``set_callbacks``.
    checkpoint : str or path-like, default=None
        File that has the state of the training: after every epoch, every second where
        epochs are shorter, and every 30 seconds within longer ones. What is fitted
        first, such as a tokenizer, has one beside it, which ends in ``.first``. A fit
        with the same data and parameters goes on from it, and ends with the same bits
        as one that was never stopped; with others it raises. Needs a ``random_state``
        that is an int. It stays after the fit.
    warm_start : bool, default=False
        Whether a second ``fit`` goes on from the weights of the first, as when new data
        arrive every month. It keeps window, scaling, codebook, classes, and the fitted
        encoder or tokenizer that the estimator holds. Samples must have the same shape,
        labels must be known, and parameters that shape the network must not change.
        Optimizer, schedule and what an objective trains beside the encoder start anew;
        ``history_`` and ``n_iter_`` are those of the last fit. A clone starts afresh.

    Attributes
    ----------
    net_ : SeriesNet
        The trained skorch net; ``net_.module_`` is the torch module.
    history_ : DataFrame
        One row per epoch: ``reconstruction_loss`` (at the variance then) and
        ``divergence_loss`` in nats per (standardized) series; ``effective_rank`` and
        ``feature_std`` of the posterior means; its duration ``dur`` in seconds.
    n_iter_ : int
        Epochs trained.
    mean_ : ndarray of shape (n_channels, n_timepoints)
        Offset that is subtracted from series, extended to whole hops: the channel mean
        and, where all training series share a shape that would dominate, most of that
        shape (see :func:`sktsrep.functional.shared_shape`).
    scale_ : ndarray of shape (n_channels, 1)
        Standard deviation around the offset, by channel.
    sample_shape_ : tuple of int
        Shape of one sample in ``fit``.
    n_features_in_ : int
        Size of the second axis in ``fit``.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Only when ``X`` has feature names that are all strings.

    References
    ----------
    Kingma, Welling 2014, "Auto-encoding variational Bayes", arXiv 1312.6114.

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
    _takes_gaps = True

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
        early_stopping=False,
        validation_fraction="auto",
        amp=False,
        compile=False,
        device="auto",
        random_state=None,
        verbose=0,
        callbacks=None,
        checkpoint=None,
        warm_start=False,
    ):
        super().__init__(
            n_fft=n_fft,
            hop_length=hop_length,
            max_tokens=max_tokens,
            hidden_dim=hidden_dim,
            n_blocks=n_blocks,
            max_epochs=max_epochs,
            batch_size=batch_size,
            lr=lr,
            weight_decay=weight_decay,
            early_stopping=early_stopping,
            validation_fraction=validation_fraction,
            amp=amp,
            compile=compile,
            device=device,
            random_state=random_state,
            verbose=verbose,
            callbacks=callbacks,
            checkpoint=checkpoint,
            warm_start=warm_start,
        )
        self.latent_dim = latent_dim
        self.beta = beta

    @training_fit
    def fit(self, X, y=None):
        """Maximize the evidence lower bound; no labels are used.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_timepoints), (n_samples, n_channels, \
                n_timepoints) or (n_samples, 2 * n_channels, n_freqs, n_frames)
            Series or, with four axes, the output of
            :class:`~sktsrep.preprocessing.STFTTransformer`. A list may hold series
            of unequal length. NaN means missing or, after the end of a series, not
            there.
        y : None
            Ignored.

        Returns
        -------
        self
        """
        X = self._validate_training(X)
        series, make_encoder = self._fit_series(X)
        make_network = functools.partial(
            VariationalAutoencoder,
            make_encoder=make_encoder,
            hidden_dim=self.hidden_dim,
            latent_dim=self.latent_dim,
            beta=self.beta,
            n_observed=series.shape[-1] if X.ndim == 4 else X.shape[-1],
        )
        known = self._fit_known(X, series.device)
        self._train(make_network, [series, *known], X)
        self._fit_variance(series, *known)
        return self

    def _fit_variance(self, series, *known):
        """Set the likelihood's variance to the mean squared error, its best value.

        The steps of a training are too small and too few to bring it there.
        """
        module = self._module
        host, _ = self._generators(None)
        errors = torch.empty(len(series), dtype=torch.float32)
        for rows in row_blocks(len(series)):
            noise = self._normal(len(series[rows]), host)
            parts = series[rows], noise, *(mask[rows] for mask in known)
            errors[rows] = self._apply_in_chunks(module.squared_error, *parts)
        share = known[0].sum().item() / known[0].numel() if known else 1.0
        variance = errors.mean() / share
        with torch.no_grad():
            module.log_variance.fill_(variance.clamp(min=1e-6).log())

    def _normal(self, n_draws, generator):
        """Standard normal latent vectors on the host, whatever torch's defaults are."""
        shape = n_draws, self._module.latent_dim
        return torch.randn(
            shape, generator=generator, dtype=torch.float32, device="cpu"
        )

    # --------------------------------------------------- gaps and unequal lengths

    def _check(self, X):
        """Check what ``fit`` saw; a list may hold shorter series, but no longer ones.

        They come back as long as in ``fit``.
        """
        X = super()._check(X)
        if X.ndim == 4:
            return X
        return to_length(X, self.sample_shape_[-1], type(self).__name__)

    @staticmethod
    def _known(X):
        """Mask of the known values, (n_samples, n_channels, time), in a list.

        The list is empty where all are known.
        """
        if X.ndim == 4 or not has_gaps(X):
            return []
        return [~np.isnan(X).reshape(len(X), -1, X.shape[-1])]

    def _fit_known(self, X, device):
        """As :meth:`_known`, for training."""
        if X.ndim == 4 or not has_gaps(X):
            return []
        chunks = self._tensor_chunks(X)
        return [stored((~as_series(x).isnan() for x in chunks), len(X), device)]

    def _apply_by_length(self, function, X, dtype=None):
        """Rows of ``function`` of series that are all as long as in ``fit``."""
        return self._apply_in_chunks(function, self._bridged(X), dtype=dtype).numpy()

    def _apply_with_known(self, function, X):
        """Rows of ``function(standardized series, known)``; no mask if all is known."""

        def prepared(x, *known):
            return function(self._prepare(x), *known)

        rows = self._bridged(X), *self._known(X)
        return self._apply_in_chunks(prepared, *rows).numpy()

    def _clipped_away(self, X):
        has_value = ~np.isnan(X).reshape(len(X), -1, X.shape[-1]).all(axis=1)
        return has_value * super()._clipped_away(self._bridged(X))

    @property
    def _n_features_out(self):
        return self._module.latent_dim

    def transform(self, X, out=None):
        """Compute the means of the posterior.

        Parameters
        ----------
        X : array-like of the shape that ``fit`` saw, or list of arrays
            Series or spectrograms. Series in a list may be shorter than those of
            ``fit``.
        out : array of shape (n_samples, n_features), default=None
            Where to write them, such as a memory map; ``X`` may be one, too. Neither
            then is in memory as a whole.

        Returns
        -------
        ndarray of shape (n_samples, latent_dim)
            In the float dtype of ``X``.
        """
        if out is not None:
            return self._transform_into(X, out)
        return self._embed(lambda x: self._module.encode(x)[0], X)

    def inverse_transform(self, X):
        """Decode latent vectors into series, the means of the likelihood.

        Parameters
        ----------
        X : array-like of shape (n_samples, latent_dim)
            Latent vectors.

        Returns
        -------
        ndarray
            Series or spectrograms of the sample shape and dtype that ``fit`` saw.
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
        return self._restore(self._apply_in_chunks(self._module.decode, latent))

    def reconstruct(self, X):
        """Encode to the posterior's means and decode.

        Parameters
        ----------
        X : array-like of the shape that ``fit`` saw, or list of arrays
            Series or spectrograms. Series in a list may be shorter than those of
            ``fit``.

        Returns
        -------
        ndarray
            The sample shape and dtype that ``fit`` saw, with NaN after the end of a
            shorter series.
        """
        X, module = self._check(X), self._module
        series = self._apply(lambda x: module.decode(module.encode(x)[0]), X)
        restored = self._restore(series)
        return restored if X.ndim == 4 else end_at(restored, observed_lengths(X))

    def sample(self, n_samples=1, random_state=None):
        """Draw latent vectors from the prior and decode them into new series.

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
        host, _ = self._generators(random_state)
        return self.inverse_transform(self._normal(n_samples, host).numpy())

    def score_samples(self, X, n_draws=16, random_state=None):
        """Compute the evidence lower bound of the log density, in nats.

        Parameters
        ----------
        X : array-like of the shape that ``fit`` saw, or list of arrays
            Series or spectrograms. Series in a list may be shorter than those of
            ``fit``.
        n_draws : int, default=16
            Draws from the posterior that are averaged.
        random_state : int, RandomState instance or None, default=None
            Decides the draws; None takes the estimator's.

        Returns
        -------
        ndarray of shape (n_samples,)
            Low for unusual series. The density is that of the known values, in the
            units of ``X``, so that series with as many known values compare; for
            spectrograms, it is that of their series, which last whole hops.
        """
        X = self._check(X)
        check_positive_int(n_draws, "n_draws")
        module = self._module
        host, _ = self._generators(random_state)
        # The same draws for every series: its score depends on no other.
        draws = self._normal(n_draws, host)

        def bound(series, *known):
            noises = draws.to(series.device)
            terms = [module.bound_terms(series, noise, *known) for noise in noises]
            return -torch.stack([sum(two) for two in terms]).double().mean(dim=0)

        bounds = self._apply_with_known(bound, X)
        # Change of variables: the module sees standardized series.
        log_scale = np.log(self.scale_)
        jacobian = module.n_observed * float(log_scale.sum())
        if X.ndim < 4:
            n_values = X[0].size
            variance = module.log_variance.exp().item()
            clipped = self._clipped_away(X).mean(axis=1)
            bounds = bounds - 0.5 * n_values / variance * clipped
            missing = np.isnan(X).reshape(len(X), len(log_scale), -1)
            jacobian = jacobian - missing.sum(axis=2) @ log_scale[:, 0]
        return bounds - jacobian

    def score_timepoints(self, X):
        """Compute the negative squared error of every timepoint.

        Parameters
        ----------
        X : array-like of the shape that ``fit`` saw, or list of arrays
            Series; spectrograms have no timepoints. Series in a list may be shorter
            than those of ``fit``.

        Returns
        -------
        ndarray of shape (n_samples, n_timepoints)
            Error of the series that the posterior's mean gives, as :meth:`reconstruct`
            has it: mean over the channels, in units of the standardized series. Low for
            unusual timepoints. NaN where a series has no value.
        """
        X = self._check(X)
        if X.ndim == 4:
            raise ValueError("score_timepoints needs series, got spectrograms instead.")
        module = self._module

        def squared_error(series, known=None):
            decoded = module.decode(module.encode(series)[0])
            squared = (decoded - series).square()[..., : X.shape[-1]]
            if known is None:
                return squared.mean(dim=1)
            return squared.where(known, torch.nan).nanmean(dim=1)

        errors = self._apply_with_known(squared_error, X).astype(np.float64)
        return -(errors + self._clipped_away(X))
