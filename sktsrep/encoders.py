"""Joint-embedding encoders: continuous representations without a decoder."""

import functools
from numbers import Integral

from sklearn.utils._param_validation import Interval, StrOptions

from sktsrep._fit import training_fit
from sktsrep._spectral import SpectralEstimator
from sktsrep._weights import pretrained
from sktsrep.augmentations import resolve_augmentations
from sktsrep.networks import JointEncoder
from sktsrep.objectives import OBJECTIVES, Objective, resolve_objective

__all__ = ["SSLEncoder"]


class SSLEncoder(SpectralEstimator):
    """Self-supervised encoder: two augmented views of a series get one embedding.

    It is the tokenizer's convolutional encoder without quantizer and decoder. The
    objective alone trains it, on projections that are thrown away afterwards.

    Parameters
    ----------
    ssl : {"barlow_twins", "byol", "simclr", "vibcreg", "vicreg"} or Objective, \
            default="vibcreg"
        Self-supervised objective, by name or as an object of
        :mod:`sktsrep.objectives`, whose parameters can be searched as ``ssl__...``.
    level : {"all", "latent"}, default="all"
        What embeddings summarize.

        - "latent": the latent map;
        - "all": the latent map, what every block of the encoder adds, and the log
          amplitudes of the frequency bins.

        Every summary has mean, maximum, minimum and share of positive values over time;
        the latent map also has the maximum of every quarter.
    augmentations : str, callable or list of those, default="shift"
        How views are made: the name of a preset (``"gauss"``, ``"slice"``, ``"warp"``,
        ``"crop"``, ``"shift"``) or functions of tensors, see
        :mod:`sktsrep.augmentations`. "shift" moves series in time and adds noise of
        0.02 standard deviations.
    latent_dim : int, default=64
        Channels of the latent map.
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
    history_ : DataFrame
        One row per epoch: every loss term; over the epoch ``effective_rank`` and
        ``feature_std`` (mean standard deviation) of the pooled latent map; its duration
        ``dur`` in seconds.
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

    See Also
    --------
    sktsrep.tokenizers.SSLVQTokenizer : Has tokens and a decoder, too.
    sktsrep.classifiers.FineTunedClassifier : Trains the encoder further with labels.

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
    _takes_gaps = True

    _parameter_constraints = {
        "ssl": [StrOptions(set(OBJECTIVES)), Objective],
        "level": [StrOptions({"all", "latent"})],
        "augmentations": [str, callable, list],
        "latent_dim": [Interval(Integral, 1, None, closed="left")],
        **SpectralEstimator._parameter_constraints,
    }

    def __init__(
        self,
        ssl="vibcreg",
        *,
        level="all",
        augmentations="shift",
        latent_dim=64,
        n_fft="auto",
        hop_length=None,
        max_tokens=32,
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
        self.level = level
        self.augmentations = augmentations
        self.latent_dim = latent_dim
        self.crop_length = crop_length

    @training_fit
    def fit(self, X, y=None):
        """Train the encoder; no labels are used.

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
        augmentations = resolve_augmentations(self.augmentations)
        X = self._validate_training(X)
        series, make_encoder = self._fit_series(X)
        make_network = functools.partial(
            JointEncoder,
            make_encoder=make_encoder,
            latent_dim=self.latent_dim,
            objective=objective,
            augmentations=augmentations,
        )
        lengths = self._whole_lengths(X)
        self._train(make_network, [series], X, lengths=lengths, most=self._most)
        self._warn_if_collapsed()
        return self

    @classmethod
    def from_pretrained(cls, name="base", *, n_timepoints=256, device="auto"):
        """Make the fitted encoder whose weights come with the package.

        They were trained, without labels, on the training parts of many archive sets.
        As a start, they serve small labeled sets: put the encoder in a
        :class:`~sklearn.frozen.FrozenEstimator` and give that to a
        :class:`~sktsrep.classifiers.FineTunedClassifier`. To embed series as they are,
        :class:`~sktsrep.pretrained.PretrainedEncoder` is better: it standardizes them,
        takes several channels, and looks at several resolutions.

        Parameters
        ----------
        name : {"base"}, default="base"
            Which weights.
        n_timepoints : int, default=256
            Length of the series that will follow, at least 32. The weights are of
            series of 128 to 512 timepoints. Resample others, best to 256.
        device : str or torch.device, default="auto"
            Where to compute; "auto" is CUDA when available.

        Returns
        -------
        SSLEncoder
            For series (n_samples, n_timepoints) of one channel, each with mean 0 and
            deviation 1. Its own ``fit`` starts anew, from no weights, unless
            ``set_params(warm_start=True)`` says to go on from them.

        Examples
        --------
        >>> import numpy as np
        >>> from scipy.stats import zscore
        >>> from sklearn.frozen import FrozenEstimator
        >>> from sktsrep.classifiers import FineTunedClassifier
        >>> from sktsrep.encoders import SSLEncoder
        >>> y = np.arange(20) % 2
        >>> X = np.sin(np.linspace(0, 9, 48) * (1 + y[:, None]) + y[:, None])
        >>> encoder = SSLEncoder.from_pretrained(n_timepoints=48, device="cpu")
        >>> classifier = FineTunedClassifier(
        ...     FrozenEstimator(encoder), max_epochs=9, random_state=0, device="cpu"
        ... )
        >>> classifier.fit(zscore(X, axis=1), y).score(zscore(X, axis=1), y)
        1.0
        """
        return pretrained(name, n_timepoints, device)

    @property
    def _n_features_out(self):
        encoder = self._module.encoder
        if self.level == "latent":
            return encoder.n_latent_features
        return encoder.n_features

    def transform(self, X, out=None):
        """Compute embeddings of series.

        Parameters
        ----------
        X : array-like of the shape that ``fit`` saw, or list of arrays
            Series or spectrograms. Series in a list may have any length.
        out : array of shape (n_samples, n_features), default=None
            Where to write them, such as a memory map; ``X`` may be one, too. Neither
            then is in memory as a whole.

        Returns
        -------
        ndarray of shape (n_samples, n_features)
            In the float dtype of ``X``.
        """
        if out is not None:
            return self._transform_into(X, out)
        return self._embed(lambda x: self._module.embed(x, self.level), X)
