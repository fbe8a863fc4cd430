"""Stage 1: series to discrete tokens and to embeddings (NC-VQVAE)."""

import functools
import math
from numbers import Real

import numpy as np
import torch
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_array, check_is_fitted

from sktsrep._base import ScoreSamplesMixin
from sktsrep._device import isolated_random_state, random_seed, to_tensor
from sktsrep._fit import learned_once, training_fit
from sktsrep._gaps import by_length, end_at, observed_lengths, pad_ends
from sktsrep._spectral import SpectralEstimator
from sktsrep._storage import row_blocks
from sktsrep._training import Rows
from sktsrep._validation import validate_tokens
from sktsrep._warnings import warn_user
from sktsrep._weights import pretrained
from sktsrep.augmentations import resolve_augmentations
from sktsrep.networks import Autoencoder
from sktsrep.nn import LATENT_SUMMARY_SIZE, WindowScaler
from sktsrep.objectives import OBJECTIVES, Objective, resolve_objective
from sktsrep.quantizers import QUANTIZERS, Quantizer, resolve_quantizer

__all__ = ["SSLVQTokenizer"]


# Held-out series of data that is large enough have errors at most this many times as
# large.
_OVERFITTED = 2.0


def _gives_tokens(tokenizer):
    return tokenizer.output == "tokens"


class SSLVQTokenizer(ScoreSamplesMixin, SpectralEstimator):
    """NC-VQVAE tokenizer: vector-quantized auto-encoder with a self-supervised loss.

    Series are transformed to the time-frequency domain, encoded by residual
    convolutions, quantized and decoded. Beside the reconstruction, a self-supervised
    loss compares the quantized features of a series with those of an augmented view
    [1]_. It shapes one half of the latent map. The other half is linear in the
    spectrogram and carries the detail that the loss would drop.

    Parameters
    ----------
    ssl : {"barlow_twins", "byol", "simclr", "vibcreg", "vicreg"}, Objective or None, \
            default="vibcreg"
        Self-supervised objective, by name or as an object of
        :mod:`sktsrep.objectives`, whose parameters can be searched as ``ssl__...``.
        None is a plain VQ-VAE without views, which reconstructs better and embeds
        worse; ``augmentations``, ``ssl_weight`` and ``augmented_weight`` then do
        nothing.
    quantizer : {"ema_codebook", "fsq", "gradient_codebook", "residual_vq"} or \
            Quantizer, default="residual_vq"
        What stands between encoder and decoder, by name or as an object of
        :mod:`sktsrep.quantizers`, whose parameters can be searched as
        ``quantizer__...``. The default gives a place eight tokens or more, from coarse
        to fine; a single codebook gives shorter rows of tokens, and smoother series.
    output : {"embeddings", "tokens"}, default="embeddings"
        What ``transform`` gives: features for a probe, or tokens.
    level : {"all", "latent", "tokens"}, default="all"
        What embeddings summarize.

        - "tokens": the quantized map, which is all that a generator sees;
        - "latent": the half of the map that the self-supervised loss shapes, before it
          is quantized;
        - "all": both, what every block of the encoder adds, and the log amplitudes of
          the frequency bins.

        Every summary has mean, maximum, minimum and share of positive values over time;
        the latent map and the quantized one also have the maximum of every quarter.
    augmentations : str, callable or list of those, default="shift"
        How a view is made: the name of a preset (``"gauss"``, ``"slice"``, ``"warp"``,
        ``"crop"``, ``"shift"``) or functions of tensors, see
        :mod:`sktsrep.augmentations`. "shift" moves series in time and adds noise of
        0.02 standard deviations.
    ssl_weight : float, default=0.1
        Weight of the self-supervised loss.
    augmented_weight : float, default=0.1
        Weight of the reconstruction of the augmented view.
    shift_probability : float, default=0.5
        Probability that a series is shifted in time, as by
        :func:`~sktsrep.augmentations.time_shift`, before it is encoded and
        reconstructed in training; 0 for never.
    n_fft : int or "auto", default="auto"
        Length of the STFT's window in timepoints. "auto" is the smallest power of two,
        from 8 up, that makes no more than 64 hops. Spectrograms have a window already.
    hop_length : int, default=None
        Timepoints between frames; None is a quarter of ``n_fft``. Spectrograms need
        that of their :class:`~sktsrep.preprocessing.STFTTransformer`.
    max_tokens : int or "auto", default="auto"
        The encoder halves the frames until no more than this many places are left.
        More of them reconstruct better and make sequences that are harder to generate.
        "auto" is one per four timepoints, and at most 32.
    crop_length : int, "auto" or None, default="auto"
        Longer series are trained on in random crops of so many timepoints, for which
        window, stages and ``max_tokens`` are made; other methods take whole series, in
        more places. "auto" is 2048 for series of more than 4096 timepoints. None trains
        on whole series, whatever the memory.
    hidden_dim : int, default=64
        Channels of the convolutions.
    n_blocks : int, default=2
        Residual blocks per stage.
    max_epochs : int or "auto", default="auto"
        Passes over the data; 0 leaves the network untrained. "auto" makes about 800
        optimizer steps, and up to 2000 on large data, to reach 14 passes.
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
    codebook_ : ndarray of shape (n_codes, dim)
        The code of every token but those of ``level_codebook_``.
    level_codebook_ : ndarray of shape (n_codes, 2 * n_channels) or None
        Where the level of series varies far more than what happens within them, as in
        windows of a recording, their first place has tokens for mean and log deviation
        of every channel: indices into this codebook. None elsewhere.
    token_shape_ : tuple of int
        Places, and tokens per place. A row of tokens holds the tokens of a place side
        by side; only a :class:`~sktsrep.quantizers.ResidualVQ` has more than one.
    history_ : DataFrame
        One row per epoch: every loss term; over the epoch ``perplexity``,
        ``codebook_usage`` (share of codes in use), ``effective_rank`` and
        ``feature_std`` (mean standard deviation) of the pooled quantized features that
        the self-supervised loss shapes; its duration ``dur`` in seconds.
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
    .. [1] Mathisen, Lokna, Lee, Aune 2024, arXiv 2408.16613.

    Examples
    --------
    >>> import numpy as np
    >>> from sktsrep.quantizers import EMACodebook
    >>> from sktsrep.tokenizers import SSLVQTokenizer
    >>> X = np.sin(np.linspace(0, 9, 48) + np.arange(20)[:, None])
    >>> tokenizer = SSLVQTokenizer(
    ...     quantizer=EMACodebook(8), hidden_dim=8, max_epochs=2, random_state=0
    ... )
    >>> tokenizer.fit_transform(X).shape
    (20, 1748)
    >>> tokens = tokenizer.encode(X)
    >>> tokens.shape, tokenizer.decode(tokens).shape
    ((20, 12), (20, 48))
    """

    _auto_steps = 800
    _takes_gaps = True

    _parameter_constraints = {
        "ssl": [StrOptions(set(OBJECTIVES)), Objective, None],
        "quantizer": [StrOptions(set(QUANTIZERS)), Quantizer],
        "output": [StrOptions({"embeddings", "tokens"})],
        "level": [StrOptions({"all", "latent", "tokens"})],
        "augmentations": [str, callable, list],
        "ssl_weight": [Interval(Real, 0, None, closed="left")],
        "augmented_weight": [Interval(Real, 0, None, closed="left")],
        "shift_probability": [Interval(Real, 0, 1, closed="both")],
        **SpectralEstimator._parameter_constraints,
    }

    def __init__(
        self,
        ssl="vibcreg",
        *,
        quantizer="residual_vq",
        output="embeddings",
        level="all",
        augmentations="shift",
        ssl_weight=0.1,
        augmented_weight=0.1,
        shift_probability=0.5,
        n_fft="auto",
        hop_length=None,
        max_tokens="auto",
        crop_length="auto",
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
        self.ssl = ssl
        self.quantizer = quantizer
        self.output = output
        self.level = level
        self.augmentations = augmentations
        self.ssl_weight = ssl_weight
        self.augmented_weight = augmented_weight
        self.shift_probability = shift_probability
        self.crop_length = crop_length

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        if self.output == "tokens":  # integers whatever the input
            tags.transformer_tags.preserves_dtype = []
        return tags

    @training_fit
    def fit(self, X, y=None):
        """Train the tokenizer; no labels are used.

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
        objective = resolve_objective(self.ssl)
        quantizer = resolve_quantizer(self.quantizer)
        augmentations = resolve_augmentations(self.augmentations)
        X = self._validate_training(X)
        series, make_encoder = self._fit_series(X)
        lengths = self._whole_lengths(X)
        self._fit_windows(series, lengths, quantizer)
        make_network = functools.partial(
            Autoencoder,
            make_encoder=make_encoder,
            quantizer=quantizer,
            n_samples=self._n_codebook_samples(len(X)),
            n_values=self._values_per_place(series),
            objective=objective,
            augmentations=augmentations,
            ssl_weight=self.ssl_weight,
            augmented_weight=self.augmented_weight,
            shift_probability=self.shift_probability,
            detailed=self._is_detailed,
        )
        self._train(make_network, [series], X, lengths=lengths, most=self._most)
        self._warn_if_collapsed()
        self._warn_if_overfitted()
        module = self._module
        self.codebook_ = module.quantizer.codebook.detach().cpu().numpy().copy()
        n_places = module.encoder.sizes_of(self._usual_length)[-1]
        n_places += self._windows.has_levels
        self.token_shape_ = (n_places, module.quantizer.depth)
        return self

    @classmethod
    def from_pretrained(cls, name="base", *, n_timepoints=256, device="auto"):
        """Make the fitted tokenizer whose weights come with the package.

        They were trained, without labels, on the training parts of many archive sets.
        Give the tokenizer to a sampler in a :class:`~sklearn.frozen.FrozenEstimator`,
        which then trains only its prior, or take its tokens as they are.

        Parameters
        ----------
        name : {"base"}, default="base"
            Which weights.
        n_timepoints : int, default=256
            Length of the series that will follow, at least 32. The weights are of
            series of 128 and 256 timepoints, eight to a place.
        device : str or torch.device, default="auto"
            Where to compute; "auto" is CUDA when available.

        Returns
        -------
        SSLVQTokenizer
            For series (n_samples, n_timepoints) of one channel, each with mean 0 and
            deviation 1. Its own ``fit`` starts anew, from no weights, unless
            ``set_params(warm_start=True)`` says to go on from them.

        Examples
        --------
        >>> import numpy as np
        >>> from scipy.stats import zscore
        >>> from sktsrep.tokenizers import SSLVQTokenizer
        >>> X = zscore(np.sin(np.arange(150) / 9 + np.arange(20)[:, None]), axis=1)
        >>> tokenizer = SSLVQTokenizer.from_pretrained(n_timepoints=150, device="cpu")
        >>> tokenizer.encode(X).shape
        (20, 152)
        >>> bool(np.square(tokenizer.reconstruct(X) - X).mean() < 0.01)
        True
        """
        return pretrained(name, n_timepoints, device, suffix="_tokenizer")

    def _of_length(self, n_timepoints):
        other = super()._of_length(n_timepoints)
        n_tokens, depth = other._n_tokens_of(other._usual_length), self.token_shape_[1]
        other.token_shape_ = (n_tokens // depth, depth)
        return other

    @property
    def _is_detailed(self):
        """Whether the latent map has a half for detail; in older files it has none."""
        return not self._goes_on or self._module.made_from.get("detailed", False)

    def _n_codebook_samples(self, n_samples):
        """Series that the size of the codebook depends on: those of the first fit."""
        if self._goes_on:
            return self._module.made_from["n_samples"]
        return n_samples

    def _values_per_place(self, series):
        """Values of all channels for each place of the latent map."""
        return math.ceil(series.shape[1] * self._n_timepoints / self._stage_sizes[-1])

    def _fit_windows(self, series, lengths, quantizer):
        """Learn the scaler of windows; leave in standardized series what it leaves.

        Series of unequal length have one level each up to their ends.
        """
        self._start_windows(series, lengths, quantizer)
        if lengths is not None and self._windows.has_levels:
            self._remove_levels(series, lengths)
        else:
            windows = self._windows.to(series.device)
            for rows in row_blocks(len(series)):
                series[rows] = windows(series[rows])[0]

    @learned_once
    def _start_windows(self, series, lengths, quantizer):
        with isolated_random_state(random_seed(self.random_state), series.device):
            module = quantizer.make_module(len(series), self._values_per_place(series))
            n_codes = module.n_codes // module.depth
            self._windows = WindowScaler(series.shape[1], n_codes, module.depth)
            ends = None if lengths is None else to_tensor(lengths, series.device)
            some = Rows(series, lengths=ends).typical()
            self._windows.to(series.device).start(some)
        self.level_codebook_ = None
        if self._windows.has_levels:
            codebook = self._windows.quantizer.codebook
            self.level_codebook_ = codebook.detach().cpu().numpy().copy()

    def _remove_levels(self, series, lengths):
        """Leave in series of unequal length what the scaler of windows leaves."""
        windows = self._windows.to(series.device)
        for length in np.unique(lengths):
            rows = np.flatnonzero(lengths == length)
            for block in row_blocks(len(rows)):
                rest = windows(series[rows[block], :, :length])[0]
                series[rows[block], :, :length] = rest
                series[rows[block], :, length:] = rest[..., -1:]

    def _prepare(self, x):
        """What the scaler of windows leaves of standardized series."""
        return self._windows.to(x.device)(self._standardized(x))[0]

    def _apply_to_series(self, function, X, dtype=None):
        """Rows of ``function(standardized series)``, with their levels."""

        def standardized(x):
            return function(self._standardized(x))

        return self._apply_by_length(standardized, X, dtype)

    def _tokens(self, series):
        rest, level_tokens = self._windows.to(series.device)(series)
        return torch.cat([level_tokens, self._module.tokens(rest)], dim=1)

    def _summarize(self, series):
        windows = self._windows.to(series.device)
        summary = self._module.embed(windows(series)[0], self.level)
        return torch.cat([summary, windows.features(series)], dim=1)

    def _decode(self, tokens, length):
        """Standardized series of a length from tokens on the net's device."""
        n_levels = self.token_shape_[1] if self._windows.has_levels else 0
        rest = self._module.decode_tokens(tokens[:, n_levels:], length)
        return self._windows.to(rest.device).inverse(rest, tokens[:, :n_levels])

    @property
    def _usual_length(self):
        """Length that the network sees of series that are as long as in ``fit``."""
        if self._crop_length is None:
            return self._module.encoder.n_timepoints
        return int(self._whole_hops_of(self.sample_shape_[-1]))

    def count_tokens(self, n_timepoints):
        """Count the tokens of a series of a length.

        Parameters
        ----------
        n_timepoints : int
            Length of the series.

        Returns
        -------
        int
        """
        check_is_fitted(self)
        return self._n_tokens_of(int(self._whole_hops_of(n_timepoints)))

    def _n_tokens_of(self, length):
        """Tokens of series of a whole length."""
        n_places = self._module.encoder.sizes_of(length)[-1] + self._windows.has_levels
        return n_places * self.token_shape_[1]

    def _shortest_of(self, n_tokens):
        """Shortest whole length of series with so many tokens."""
        encoder = self._module.encoder
        n_places = n_tokens // self.token_shape_[1] - self._windows.has_levels
        n_frames = n_places << (len(encoder.sizes) - 1)
        return np.maximum((n_frames - 1) * self._hop_length, 1)

    def _warn_if_overfitted(self):
        """Warn when held-out series are reconstructed far worse than others."""
        history = self.history_
        if "valid_time_loss" not in history:
            return
        last = len(history) - 1
        kept = history["valid_loss"].argmin() if self.early_stopping else last
        held_out, trained = history[["valid_time_loss", "time_loss"]].iloc[kept]
        if held_out > _OVERFITTED * trained:
            warn_user(
                "The tokenizer over-fits: the reconstruction error of held-out series "
                f"is {held_out:.3g}, that of the others {trained:.3g} (1 is the "
                "variance). Of overlapping windows the last are held out, so a "
                "recording may also have changed. Try more series, of more of the "
                "recording, shift_probability=1, a smaller hidden_dim or quantizer, or "
                "fewer epochs.",
                UserWarning,
            )

    @property
    def _n_tokens(self):
        n_places, depth = self.token_shape_
        return n_places * depth

    @property
    def _n_features_out(self):
        if self.output == "tokens":
            return self._n_tokens
        encoder = self._module.encoder
        n_quantized = LATENT_SUMMARY_SIZE * self.codebook_.shape[1]
        n_features = {
            "all": encoder.n_features + n_quantized,
            "latent": encoder.n_latent_features,
            "tokens": n_quantized,
        }
        return n_features[self.level] + self._windows.n_features

    def transform(self, X, out=None):
        """Compute embeddings or tokens of series, as ``output`` says.

        Parameters
        ----------
        X : array-like of the shape that ``fit`` saw, or list of arrays
            Series or spectrograms. Series in a list may have any length.
        out : array of shape (n_samples, n_features), default=None
            Where to write them, such as a memory map; ``X`` may be one, too. Neither
            then is in memory as a whole.

        Returns
        -------
        ndarray of shape (n_samples, n_features) or (n_samples, n_tokens)
            Embeddings in the float dtype of ``X``, or tokens (int64).
        """
        if out is not None:
            return self._transform_into(X, out)
        if self.output == "tokens":
            return self.encode(X)
        X = self._check(X)
        dtype = getattr(torch, X.dtype.name)
        return self._apply_to_series(self._summarize, X, dtype=dtype)

    def encode(self, X):
        """Encode series into tokens.

        Parameters
        ----------
        X : array-like of the shape that ``fit`` saw, or list of arrays
            Series or spectrograms. Series in a list may have any length.

        Returns
        -------
        ndarray of shape (n_samples, n_tokens), int64
            Indices into ``codebook_``; -1 after the end of a series that is shorter
            than others.
        """
        X = self._check(X)
        return self._apply_to_series(self._tokens, X)

    def decode(self, tokens, lengths=None):
        """Decode tokens into series.

        Parameters
        ----------
        tokens : array-like of shape (n_samples, n_tokens), int
            Indices into ``codebook_``; -1 after the end of a series that is shorter.
        lengths : array-like of shape (n_samples,), int, default=None
            Timepoints of every series. They decide among the few lengths that have so
            many tokens; None is the length in ``fit``, or the shortest.

        Returns
        -------
        ndarray
            Series or spectrograms of the sample shape and dtype that ``fit`` saw. NaN
            after the end of a series that is shorter.
        """
        check_is_fitted(self)
        n_codes = len(self.codebook_)
        is_usual = self._crop_length is None and lengths is None
        if is_usual and (np.asarray(tokens) != -1).all():
            tokens = validate_tokens(tokens, self._n_tokens, n_codes)
            decode = functools.partial(self._decode, length=self._usual_length)
            return self._restore(self._apply_in_chunks(decode, tokens))
        tokens = validate_tokens(tokens, None, n_codes, least=-1)
        return self._decode_unequal(tokens, self._lengths_of(tokens, lengths))

    def _lengths_of(self, tokens, lengths):
        """Lengths of series that are given by tokens, in timepoints."""
        n_tokens = (tokens >= 0).sum(axis=1)
        least = self._n_tokens_of(max(self._least_length, 1))
        is_whole = (n_tokens % self.token_shape_[1] == 0) & (n_tokens >= least)
        is_row = (tokens[:, :-1] >= 0) | (tokens[:, 1:] < 0)  # no -1 before the end
        is_wrong = ~(is_whole & is_row.all(axis=1))
        if lengths is None:
            usual = n_tokens == self._n_tokens
            shortest = self._shortest_of(n_tokens)
            lengths = np.where(usual, self.sample_shape_[-1], shortest)
        else:
            lengths = check_array(lengths, ensure_2d=False, dtype=np.int64)
            if lengths.shape != (len(tokens),):
                raise ValueError(
                    f"lengths must have shape ({len(tokens)},), got {lengths.shape}."
                )
            whole = self._whole_hops_of(lengths)
            expected = [self._n_tokens_of(length) for length in whole.tolist()]
            is_wrong |= (lengths < 1) | (n_tokens != expected)
        if is_wrong.any():
            raise ValueError(
                f"The tokens in row {is_wrong.argmax()} are not those of a series, or "
                "not of one of its length: they must be as encode gives them."
            )
        return lengths

    def _decode_unequal(self, tokens, lengths):
        """Series of these lengths, with NaN after their ends."""

        def decode(length, rows):
            part = self._apply_in_chunks(
                functools.partial(self._decode, length=int(length)),
                tokens[rows, : self._n_tokens_of(int(length))],
                size=self._n_rows(length),
            )
            return self._restore(part, int(length))

        series = by_length(decode, self._whole_hops_of(lengths))
        return end_at(series[..., : lengths.max()], lengths)

    @available_if(_gives_tokens)
    def inverse_transform(self, X):
        """Do the same as :meth:`decode`; only with ``output="tokens"``.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_tokens), int
            Indices into ``codebook_``.

        Returns
        -------
        ndarray
            Series or spectrograms of the sample shape and dtype that ``fit`` saw.
        """
        return self.decode(X)

    def reconstruct(self, X):
        """Encode and decode.

        Parameters
        ----------
        X : array-like of the shape that ``fit`` saw, or list of arrays
            Series or spectrograms. Series in a list may have any length.

        Returns
        -------
        ndarray
            The shape of ``X``, with NaN after the end of a series that is shorter
            than others, in the dtype that ``fit`` saw.
        """
        X = self._check(X)
        if X.ndim == 4 or (not np.isnan(X).any() and X.shape[1:] == self.sample_shape_):
            return self.decode(self.encode(X))
        tokens = self._apply_to_series(self._tokens, X)
        series = self._decode_unequal(tokens, observed_lengths(X))
        return pad_ends(series, X.shape[-1])

    def score_samples(self, X):
        """Compute the negative mean squared error of reconstructed series.

        Parameters
        ----------
        X : array-like of the shape that ``fit`` saw
            Series or spectrograms.

        Returns
        -------
        ndarray of shape (n_samples,)
            At most 0, in units of the standardized series; low for unusual series.

        Notes
        -----
        Series that ``fit`` saw are reconstructed best: take a threshold from others.
        :meth:`score` measures reconstruction only, so it always prefers ``ssl=None``.
        For embeddings, search with the score of a probe.
        """
        checked = self._check(X)
        if checked.ndim == 4:
            return -self._errors(checked).mean(axis=1, dtype=np.float64)
        return np.nanmean(self.score_timepoints(X), axis=1)

    def score_timepoints(self, X):
        """Compute the negative squared error of every timepoint.

        Parameters
        ----------
        X : array-like of the shape that ``fit`` saw
            Series; spectrograms have no timepoints.

        Returns
        -------
        ndarray of shape (n_samples, n_timepoints)
            Mean over the channels, in units of the standardized series; low for unusual
            timepoints. Its mean over time is :meth:`score_samples`. NaN where a
            series has no value.
        """
        X = self._check(X)
        if X.ndim == 4:
            raise ValueError("score_timepoints needs series, got spectrograms instead.")
        n_timepoints = X.shape[-1]
        errors = self._errors(X)[:, :n_timepoints].astype(np.float64)
        errors = pad_ends(errors, n_timepoints)
        errors[np.isnan(X).reshape(len(X), -1, X.shape[-1]).all(axis=1)] = np.nan
        return -(errors + self._clipped_away(self._bridged(X)))

    def _errors(self, X):
        """Squared error of every timepoint of whole hops, mean over the channels."""

        def squared_error(series):
            decoded = self._decode(self._tokens(series), series.shape[-1])
            return (decoded - series).square().mean(dim=1)

        return self._apply_to_series(squared_error, X)
