"""Sampling token by token."""

import functools
from numbers import Real

import numpy as np
from sklearn.utils._param_validation import Interval
from sklearn.utils.validation import check_is_fitted

from sktsrep._gaps import pad_ends
from sktsrep._validation import validate_beginnings, validate_tokens
from sktsrep.networks import CausalPrior
from sktsrep.samplers.base import TokenSampler

__all__ = ["AutoregressiveSampler"]


class AutoregressiveSampler(TokenSampler):
    """Sample new series token by token from a causal transformer.

    Every token is drawn given the ones before it [1]_, those of a place from coarse to
    fine [2]_. The likelihood of a series' tokens is exact, and a series can be
    continued from its beginning.

    Parameters
    ----------
    tokenizer : estimator or None, default=None
        Turns series into tokens and back, by ``encode`` and ``decode``, and has a
        ``codebook_`` with one row per code, such as
        :class:`~sktsrep.tokenizers.SSLVQTokenizer`. A fitted tokenizer in a
        :class:`~sklearn.frozen.FrozenEstimator` is used as it is; of any other, fitted
        or not, a clone is fitted on the same series. None: ``fit`` takes tokens.
    n_codes : int, default=None
        Size of the codebook when ``fit`` takes tokens; a tokenizer has its own. None is
        the largest token in ``fit``, plus one: larger tokens, which a test part may
        hold, are then refused.
    temperature : float, default=1.0
        Divides the scores of the codes: 1 draws from the learned distribution, less
        makes series more probable and less diverse, 0 takes the most probable token.
    guidance_scale : float, default=1.0
        Classifier-free guidance: 1 samples the class-conditional distribution, 0
        ignores the class, more than 1 exaggerates it.
    class_dropout : float, default=0.1
        Probability of hiding the class in training. Guidance and everything that works
        without a class need it above 0.
    texture : bool, default=True
        Whether samples get noise of half the power, by frequency, that they steadily
        lack beside series of ``fit``. Decoded series are means, so they are too smooth.
        Without it, every sample is what its tokens decode to, within the limits.
    hidden_dim : int, default=128
        Width of the transformer; a multiple of ``n_heads``.
    n_layers : int, default=3
        Layers of the transformer.
    n_heads : int, default=4
        Attention heads.
    dropout : float, default=0.1
        Probability of dropping activations in training.
    max_epochs : int or "auto", default="auto"
        Passes over the data; 0 leaves the network untrained. "auto" makes about 1000
        optimizer steps, and up to 2500 on large data, to reach 14 passes.
    batch_size : int, default=128
        Series per step.
    lr : float, default=1e-3
        Learning rate of AdamW at the start; it falls to zero on a cosine.
    weight_decay : float, default=1e-2
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
    tokenizer_ : estimator or None
        The fitted tokenizer; a copy of a frozen one.
    imputer_ : GaussianImputer or None
        Tells likely values of gaps; None without series.
    texture_ : ndarray of shape (n_frequencies, n_channels, n_channels) or None
        Symmetric roots of the power of the noise, relative to a sample's deviations, at
        even steps of frequency; None for no noise.
    n_tokens_, n_codes_ : int
        Tokens per series; size of the codebook.
    classes_ : ndarray of shape (n_classes,)
        The labels; empty when fitted without.
    class_prior_ : ndarray of shape (n_classes,)
        Their shares in the training data.
    history_ : DataFrame
        One row per epoch: the loss in nats per predicted token, and its duration
        ``dur`` in seconds.
    n_iter_ : int
        Epochs trained.
    sample_shape_ : tuple of int
        Shape of one sample in ``fit``.
    n_features_in_ : int
        Size of the second axis in ``fit``.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Only when ``X`` has feature names that are all strings.

    See Also
    --------
    MaskGITSampler : Draws many tokens at once, and fills in gaps.

    Notes
    -----
    Keys and values of earlier tokens are kept while a series is drawn, so that a token
    costs one pass of a single place. Samples keep the limits of channels, as those of
    :class:`MaskGITSampler`.

    References
    ----------
    .. [1] van den Oord, Vinyals, Kavukcuoglu 2017, "VQ-VAE", arXiv 1711.00937, section
       3.3, with a transformer for the PixelCNN.
    .. [2] Lee et al. 2022, "Autoregressive image generation using residual
       quantization", arXiv 2203.01941.

    Examples
    --------
    >>> import numpy as np
    >>> from sktsrep.samplers import AutoregressiveSampler
    >>> tokens = np.arange(12).reshape(1, 12).repeat(30, axis=0) % 3
    >>> sampler = AutoregressiveSampler(
    ...     hidden_dim=32, n_layers=1, max_epochs=60, lr=1e-2, random_state=0
    ... )
    >>> sampler.fit(tokens).sample(1, random_state=0)
    array([[0, 1, 2, 0, 1, 2, 0, 1, 2, 0, 1, 2]])
    >>> bool(sampler.score(tokens) > -0.5)  # nats per series
    True
    """

    _parameter_constraints = {
        "temperature": [Interval(Real, 0, None, closed="left")],
        **TokenSampler._parameter_constraints,
    }

    def __init__(
        self,
        tokenizer=None,
        *,
        n_codes=None,
        temperature=1.0,
        guidance_scale=1.0,
        class_dropout=0.1,
        texture=True,
        hidden_dim=128,
        n_layers=3,
        n_heads=4,
        dropout=0.1,
        max_epochs="auto",
        batch_size=128,
        lr=1e-3,
        weight_decay=1e-2,
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
            tokenizer,
            n_codes=n_codes,
            guidance_scale=guidance_scale,
            class_dropout=class_dropout,
            texture=texture,
            hidden_dim=hidden_dim,
            n_layers=n_layers,
            n_heads=n_heads,
            dropout=dropout,
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
        self.temperature = temperature

    def _make_prior(self, **sizes):
        return CausalPrior(**sizes)

    def _generate(self, tokens, unknown, classes, generator):
        """Tokens after the prefix that all rows know."""
        n_known = int((~unknown).all(dim=0).sum())
        return self._module.generate(
            tokens,
            n_known,
            classes,
            temperature=self.temperature,
            guidance_scale=self.guidance_scale,
            generator=generator,
        )

    def _continue(self, tokens, unknown, classes, random_state):
        _, generator = self._generators(random_state)
        draw = functools.partial(self._generate, generator=generator)
        return self._apply_in_chunks(draw, tokens, unknown, classes).numpy()

    def extend(self, X, y=None, random_state=None):
        """Continue series from their beginnings.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_known) or (n_samples, n_channels, n_known)
            Beginnings of series: at most as many timepoints as ``fit`` saw, or as many
            tokens when fitted on tokens.
        y : label or array-like of shape (n_samples,), default=None
            Class of all, or of each; None for the distribution without classes.
        random_state : int, RandomState instance or None, default=None
            Decides the continuation; None takes the estimator's.

        Returns
        -------
        ndarray
            Series of the shape that ``fit`` saw, whose beginnings are exactly those
            given, in their dtype; tokens (int64) when fitted on tokens.

        Notes
        -----
        Places of the latent map that a missing value touches are drawn. Decoded values
        are moved by what they miss of the known ones, as in
        :meth:`MaskGITSampler.impute`.

        Examples
        --------
        >>> import numpy as np
        >>> from sktsrep.samplers import AutoregressiveSampler
        >>> tokens = np.arange(12).reshape(1, 12).repeat(30, axis=0) % 3
        >>> sampler = AutoregressiveSampler(
        ...     hidden_dim=32, n_layers=1, max_epochs=60, lr=1e-2, random_state=0
        ... )
        >>> sampler.fit(tokens).extend([[0, 1, 2, 0]])
        array([[0, 1, 2, 0, 1, 2, 0, 1, 2, 0, 1, 2]])
        """
        check_is_fitted(self)
        if y is None:
            self._check_class_free("extend")
        self._check_guidance()
        X = validate_beginnings(self, X)
        classes = self._given_classes(len(X), y)
        if self.tokenizer_ is None:
            return self._extend_tokens(X, classes, random_state)
        self._check_series("extend")
        X = pad_ends(X, self.sample_shape_[-1])
        mask = np.isnan(X)
        if not mask.any():
            return X
        likely, std = self.imputer_.impute(X, return_std=True)
        unknown = self._unknown_tokens(mask)
        tokens = self._encode(likely)
        drawn = self._continue(tokens, unknown, classes, random_state)
        (met,) = self._meet(likely, std, mask, self.tokenizer_.decode(drawn)[None])
        return met

    def _extend_tokens(self, X, classes, random_state):
        known = validate_tokens(X, None, self.n_codes_)
        tokens = np.zeros((len(X), self.n_tokens_), dtype=np.int64)
        tokens[:, : known.shape[1]] = known
        unknown = np.ones(tokens.shape, dtype=bool)
        unknown[:, : known.shape[1]] = False
        return self._continue(tokens, unknown, classes, random_state)
