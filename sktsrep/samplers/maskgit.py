"""Sampling by iterative parallel decoding."""

from numbers import Integral, Real

import torch
from sklearn.utils._param_validation import Interval, StrOptions

from sktsrep.functional import MASK_SCHEDULES
from sktsrep.networks import MaskedPrior
from sktsrep.samplers.base import TokenSampler
from sktsrep.samplers.imputation import ImputationMixin

__all__ = ["MaskGITSampler"]

# Factors by which places of a latent map are expected from others.
_N_FACTORS = 40


class MaskGITSampler(ImputationMixin, TokenSampler):
    """Sample new series by iterative parallel decoding of tokens.

    A bidirectional transformer learns the distribution of tokens by predicting masked
    ones from the others. Sampling starts with all tokens masked and keeps some more at
    every step [1]_. The tokens of one place of the tokenizer's latent map are masked
    together, and drawn from coarse to fine [2]_.

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
    schedule : {"cosine", "linear", "square", "cubic", "sqrt"}, default="cosine"
        How the share of masked tokens falls, in training and decoding.
    order : {"confidence", "random"}, default="confidence"
        Which of the drawn tokens are kept first: those that the model is surest of, or
        random ones. "random" gives more variety, and copies training series less;
        "confidence" avoids unlikely series.
    n_steps : int, default=10
        Decoding steps. More steps, up to one per place, draw from the model more
        faithfully and take longer.
    temperature : float, default=4.0
        Scale of the Gumbel noise on the confidence; it falls to zero over the steps.
        Higher values give more diverse series. A random order needs none.
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
    dropout : float, default=0.0
        Probability of dropping activations in training.
    max_epochs : int or "auto", default="auto"
        Passes over the data; 0 leaves the network untrained. "auto" makes about 3000
        optimizer steps, and up to 7500 on large data, to reach 14 passes.
    batch_size : int, default=32
        Series per step.
    lr : float, default=2e-3
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
    AutoregressiveSampler : Has an exact likelihood, and draws token by token.

    Notes
    -----
    The loss is the categorical cross-entropy at masked places only; every series has
    its own mask ratio. Tokens that are known are never masked again. With a tokenizer,
    the transformer is told what visible places let expect of masked ones by a Gaussian
    of latent maps with 40 factors [3]_. With ``max_epochs="auto"``, it makes no more
    than 600 passes over the data: after more, small data are known by heart.

    Samples keep the linear limits of one or two channels that all timepoints of series
    in ``fit`` keep, and some reach: no rain below 0, no highest price below the lowest.
    Channels that take few values in ``fit``, such as counts, take only these.

    References
    ----------
    .. [1] Chang et al. 2022, "MaskGIT", arXiv 2202.04200.
    .. [2] Lee et al. 2022, "Draft-and-revise: effective image generation with
       contextual RQ-transformer", arXiv 2206.04452.
    .. [3] Tipping, Bishop 1999, "Probabilistic principal component analysis".

    Examples
    --------
    >>> import numpy as np
    >>> from sktsrep.samplers import MaskGITSampler
    >>> tokens = np.arange(12).reshape(1, 12).repeat(30, axis=0) % 3
    >>> sampler = MaskGITSampler(
    ...     hidden_dim=32, n_layers=1, max_epochs=150, random_state=0, device="cpu"
    ... )
    >>> sampler.fit(tokens).sample(2, random_state=0)
    array([[0, 1, 2, 0, 1, 2, 0, 1, 2, 0, 1, 2],
           [0, 1, 2, 0, 1, 2, 0, 1, 2, 0, 1, 2]])
    """

    _auto_steps = 3000
    _most_passes = 600

    _parameter_constraints = {
        "schedule": [StrOptions(set(MASK_SCHEDULES))],
        "order": [StrOptions({"confidence", "random"})],
        "n_steps": [Interval(Integral, 1, None, closed="left")],
        "temperature": [Interval(Real, 0, None, closed="left")],
        **TokenSampler._parameter_constraints,
    }

    def __init__(
        self,
        tokenizer=None,
        *,
        n_codes=None,
        schedule="cosine",
        order="confidence",
        n_steps=10,
        temperature=4.0,
        guidance_scale=1.0,
        class_dropout=0.1,
        texture=True,
        hidden_dim=128,
        n_layers=3,
        n_heads=4,
        dropout=0.0,
        max_epochs="auto",
        batch_size=32,
        lr=2e-3,
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
        self.schedule = schedule
        self.order = order
        self.n_steps = n_steps
        self.temperature = temperature

    def _make_prior(self, *, code_dim, **sizes):
        n_factors = _N_FACTORS if code_dim else 0
        if self._goes_on:  # older files have none
            n_factors = self._module.made_from.get("n_factors", 0)
        prior = MaskedPrior(
            schedule=self.schedule,
            code_dim=code_dim,
            n_factors=n_factors,
            n_level_places=self._n_level_places,
            **sizes,
        )
        if self._n_level_places:
            levels = self.tokenizer_.level_codebook_
            prior.set_level_codes(torch.tensor(levels, dtype=torch.float32))
        return prior

    def _generate(self, tokens, unknown, classes, generator):
        *_, (tokens, _) = self._decoding_path(tokens, unknown, classes, generator)
        return tokens

    def _decoding_path(self, tokens, unknown, classes, generator):
        return self._module.decoding_path(
            tokens,
            unknown,
            classes,
            n_steps=self.n_steps,
            schedule=self.schedule,
            order=self.order,
            temperature=self.temperature,
            guidance_scale=self.guidance_scale,
            generator=generator,
        )

    def decoding_path(self, n_samples=1, y=None, random_state=None):
        """Draw new series and give their tokens after every step of the decoding.

        Parameters
        ----------
        n_samples, y, random_state
            As in :meth:`sample`.

        Returns
        -------
        tokens : ndarray of shape (n_steps, n_samples, n_tokens), int64
            Tokens; the last are those of :meth:`sample_tokens`. Where they are still
            masked, they are no more than a first guess of the coarsest one.
        masks : ndarray of shape (n_steps, n_samples, n_tokens), bool
            True where a token is still masked after the step.

        Examples
        --------
        >>> import numpy as np
        >>> from sktsrep.samplers import MaskGITSampler
        >>> tokens = np.arange(12).reshape(1, 12).repeat(30, axis=0) % 3
        >>> sampler = MaskGITSampler(hidden_dim=8, n_steps=4, max_epochs=1)
        >>> tokens, masks = sampler.fit(tokens).decoding_path(2)
        >>> tokens.shape, masks.sum(axis=2)[:, 0].tolist()
        ((4, 2, 12), [11, 8, 4, 0])
        """

        def steps(*chunk, generator):
            path = self._decoding_path(*chunk, generator)
            path = [torch.stack(step, dim=1) for step in path]
            return torch.stack(path, dim=1)  # (batch, n_steps, 2, n_tokens)

        rows, _ = self._draw_rows(steps, n_samples, y, random_state)
        tokens, masks = rows.permute(2, 1, 0, 3).numpy()
        return tokens, masks.astype(bool)
