"""Stage 2: new series from a bidirectional transformer over tokens (MaskGIT)."""

import copy
from functools import partial
from numbers import Integral, Real

import numpy as np
import torch
from sklearn.base import _fit_context
from sklearn.callback import with_callbacks
from sklearn.frozen import FrozenEstimator
from sklearn.utils._param_validation import HasMethods, Interval, StrOptions
from sklearn.utils.validation import check_is_fitted, column_or_1d

from sktsrep._gaps import closest, interpolate, join, tokens_of_times
from sktsrep._ncvqvae import MaskedPrior
from sktsrep._net import check_split, fit_net, resolve_device
from sktsrep._validation import (
    check_mask,
    check_positive_int,
    class_indices,
    validate_codes,
    validate_series,
)
from sktsrep.base import (
    ScoreSamplesMixin,
    TorchEstimator,
    all_or_nothing,
    clone_with_seed,
    random_seed,
)
from sktsrep.functional import MASK_SCHEDULES

__all__ = ["MaskGITSampler"]


class MaskGITSampler(ScoreSamplesMixin, TorchEstimator):
    """Sample new series by iterative parallel decoding of tokens [1]_.

    A bidirectional transformer learns the distribution of tokens by predicting masked
    ones from the others; sampling starts with all masked and keeps, step by step, the
    tokens that the model is surest of.

    Parameters
    ----------
    tokenizer : estimator or None, default=None
        Turns series into tokens and back, by ``encode`` and ``decode``, and has a
        ``codebook_`` of one row a code, such as
        :class:`~sktsrep.tokenizers.SSLVQTokenizer`. A clone of it is fitted on the
        same series; a tokenizer in a :class:`~sklearn.frozen.FrozenEstimator` is used
        as it is. None: ``fit`` takes tokens.
    n_codes : int, default=None
        Size of the codebook that tokens are from, when ``fit`` takes tokens; a
        tokenizer brings its own. None is the largest token in ``fit``, plus one:
        others, which a test part may hold, are then refused.
    schedule : {"cosine", "linear", "square", "cubic", "sqrt"}, default="cosine"
        How the share of masked tokens falls, in training and decoding.
    n_steps : int, default=10
        Decoding steps.
    temperature : float, default=4.0
        Of the Gumbel noise on the confidence; it falls to zero over the steps. Higher
        values give more diverse series.
    guidance_scale : float, default=1.0
        Classifier-free guidance: 1 samples the class-conditional distribution, 0
        ignores the class, more than 1 exaggerates it.
    class_dropout : float, default=0.1
        Probability of hiding the class in training, which guidance, ``impute`` and
        ``score_samples`` need.
    hidden_dim : int, default=128
        Width of the transformer; a multiple of ``n_heads``.
    n_layers : int, default=3
        Layers of the transformer.
    n_heads : int, default=4
        Attention heads.
    dropout : float, default=0.1
        Probability of dropping activations in training.
    max_epochs : int or "auto", default="auto"
        Passes over the data; "auto" makes about 1000 optimizer steps, of large data
        up to 2500, fourteen passes.
    batch_size : int, default=128
        Series a step.
    lr : float, default=1e-3
        Learning rate of AdamW at the start; it falls to zero on a cosine.
    weight_decay : float, default=1e-2
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
        Decides weights, batches and masks, and the samples where ``sample`` is given
        none.
    verbose : int, default=0
        Whether to print a line an epoch.
    callbacks : list of skorch callbacks, default=None
        Called during training. Scikit-learn's go to ``set_callbacks``.

    Attributes
    ----------
    net_ : SeriesNet
        The trained skorch net; ``net_.module_`` is the torch module.
    tokenizer_ : estimator or None
        The fitted tokenizer; a copy of a frozen one.
    n_tokens_, n_codes_ : int
        Tokens a series; size of the codebook.
    classes_ : ndarray of shape (n_classes,)
        The labels; empty when fitted without.
    class_prior_ : ndarray of shape (n_classes,)
        Their shares in the training data.
    history_ : DataFrame
        One row an epoch: the loss in nats a masked token, and seconds.
    n_iter_ : int
        Epochs trained.
    sample_shape_ : tuple of int
        Shape of one sample in ``fit``.
    n_features_in_ : int
        Size of the second axis in ``fit``.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Only when ``X`` has feature names that are all strings.

    Notes
    -----
    The loss is the categorical cross-entropy at masked places only; every series has
    its own mask ratio. Tokens that are known are never masked again.

    References
    ----------
    .. [1] Chang et al. 2022, "MaskGIT", arXiv 2202.04200.

    Examples
    --------
    >>> import numpy as np
    >>> from sktsrep.samplers import MaskGITSampler
    >>> codes = np.arange(12).reshape(1, 12).repeat(30, axis=0) % 3
    >>> sampler = MaskGITSampler(
    ...     hidden_dim=32, n_layers=1, max_epochs=150, random_state=0, device="cpu"
    ... )
    >>> sampler.fit(codes).sample(2, random_state=0)
    array([[0, 1, 2, 0, 1, 2, 0, 1, 2, 0, 1, 2],
           [0, 1, 2, 0, 1, 2, 0, 1, 2, 0, 1, 2]])
    """

    _auto_steps = 1000

    _parameter_constraints = {
        "tokenizer": [HasMethods(["fit", "encode", "decode"]), None],
        "n_codes": [Interval(Integral, 1, None, closed="left"), None],
        "schedule": [StrOptions(set(MASK_SCHEDULES))],
        "n_steps": [Interval(Integral, 1, None, closed="left")],
        "temperature": [Interval(Real, 0, None, closed="left")],
        "guidance_scale": [Interval(Real, 0, None, closed="left")],
        "class_dropout": [Interval(Real, 0, 1, closed="both")],
        "hidden_dim": [Interval(Integral, 1, None, closed="left")],
        "n_layers": [Interval(Integral, 1, None, closed="left")],
        "n_heads": [Interval(Integral, 1, None, closed="left")],
        "dropout": [Interval(Real, 0, 1, closed="left")],
        **TorchEstimator._parameter_constraints,
    }

    def __init__(
        self,
        tokenizer=None,
        *,
        n_codes=None,
        schedule="cosine",
        n_steps=10,
        temperature=4.0,
        guidance_scale=1.0,
        class_dropout=0.1,
        hidden_dim=128,
        n_layers=3,
        n_heads=4,
        dropout=0.1,
        max_epochs="auto",
        batch_size=128,
        lr=1e-3,
        weight_decay=1e-2,
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
        self.tokenizer = tokenizer
        self.n_codes = n_codes
        self.schedule = schedule
        self.n_steps = n_steps
        self.temperature = temperature
        self.guidance_scale = guidance_scale
        self.class_dropout = class_dropout
        self.hidden_dim = hidden_dim
        self.n_layers = n_layers
        self.n_heads = n_heads
        self.dropout = dropout
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

    # ------------------------------------------------------------------ training

    @_fit_context(prefer_skip_nested_validation=False)
    @all_or_nothing
    @with_callbacks
    def fit(self, X, y=None):
        """Learn the distribution of the series' tokens.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_timepoints), (n_samples, n_channels, \
                n_timepoints) or, without a tokenizer, (n_samples, n_tokens)
            Series (whatever the tokenizer takes), or tokens.
        y : array-like of shape (n_samples,), default=None
            Class labels, for class-conditional sampling.

        Returns
        -------
        self
        """
        if self.hidden_dim % self.n_heads:
            raise ValueError(
                f"hidden_dim must be a multiple of n_heads={self.n_heads}, got "
                f"{self.hidden_dim} instead."
            )
        device = resolve_device(self.device)
        n_samples = len(validate_series(self, X, reset=True))
        classes = self._fit_classes(y, n_samples)
        check_split(self, n_samples)
        context = self._init_callback_context(max_subtasks=2)
        context.call_on_fit_task_begin(estimator=self)
        tokens = self._fit_tokens(X, context.subcontext("tokenizer"))
        self.n_tokens_ = tokens.shape[1]
        fit_net(
            self,
            MaskedPrior,
            dict(
                n_codes=self.n_codes_,
                n_tokens=self.n_tokens_,
                n_classes=len(self.classes_),
                dim=self.hidden_dim,
                n_layers=self.n_layers,
                n_heads=self.n_heads,
                dropout=self.dropout,
                class_dropout=self.class_dropout,
                schedule=self.schedule,
            ),
            [torch.tensor(tokens, device=device), torch.tensor(classes, device=device)],
            random_seed(self.random_state),
            open_context=partial(context.subcontext, "prior"),
        )
        context.call_on_fit_task_end(estimator=self, reconstruction_attributes={})
        return self

    def _fit_classes(self, y, n_samples):
        """Class indices; without labels, all 0, which then means "no class"."""
        if y is None:
            self.classes_ = np.array([])
            self.class_prior_ = np.array([])
            return np.zeros(n_samples, dtype=np.int64)
        self.classes_, indices = class_indices(y)
        if len(indices) != n_samples:
            raise ValueError(f"y must have {n_samples} labels, got {len(indices)}.")
        self.class_prior_ = np.bincount(indices) / n_samples
        return indices

    def _fit_tokens(self, X, context):
        """Tokens of the training data, encoded once; fits the tokenizer."""
        if self.tokenizer is None:
            self.tokenizer_ = None
            tokens = validate_codes(X, None, self.n_codes)
            self.n_codes_ = self.n_codes or int(tokens.max()) + 1
            return tokens
        if isinstance(self.tokenizer, FrozenEstimator):
            check_is_fitted(self.tokenizer.estimator)
            # A copy, because it may be fitted again, to other data.
            self.tokenizer_ = copy.deepcopy(self.tokenizer.estimator)
        else:
            self.tokenizer_ = clone_with_seed(self.tokenizer, self.random_state)
            with context.propagate_callback_context(self.tokenizer_):
                self.tokenizer_.fit(X)
        self.n_codes_ = len(self.tokenizer_.codebook_)
        tokens = self.tokenizer_.encode(X)
        # They have been compared; from here on the tokenizer gets arrays.
        vars(self.tokenizer_).pop("feature_names_in_", None)
        return tokens

    # ------------------------------------------------------------------ sampling

    def sample(self, n_samples=1, y=None, random_state=None):
        """New series.

        Parameters
        ----------
        n_samples : int, default=1
            How many.
        y : label or array-like of shape (n_samples,), default=None
            Class of all, or of each. None draws classes as frequent as in the
            training data.
        random_state : int, RandomState instance or None, default=None
            Decides the samples; None takes the estimator's.

        Returns
        -------
        ndarray
            ``n_samples`` samples of the shape and dtype that ``fit`` saw; tokens
            (int64) when fitted on tokens.
        """
        codes = self.sample_codes(n_samples, y, random_state)
        return codes if self.tokenizer_ is None else self.tokenizer_.decode(codes)

    def sample_codes(self, n_samples=1, y=None, random_state=None):
        """Tokens of new series.

        Parameters
        ----------
        n_samples, y, random_state
            As in :meth:`sample`.

        Returns
        -------
        ndarray of shape (n_samples, n_tokens), int64
        """
        codes = self._sample(self._decode_iteratively, n_samples, y, random_state)
        return codes.numpy()

    def decoding_path(self, n_samples=1, y=None, random_state=None):
        """Tokens of new series after every step of the iterative decoding.

        Parameters
        ----------
        n_samples, y, random_state
            As in :meth:`sample`.

        Returns
        -------
        codes : ndarray of shape (n_steps, n_samples, n_tokens), int64
            Tokens, a first guess where they are still masked; the last are those of
            :meth:`sample_codes`.
        masks : ndarray of shape (n_steps, n_samples, n_tokens), bool
            True where a token is still masked after the step.

        Examples
        --------
        >>> import numpy as np
        >>> from sktsrep.samplers import MaskGITSampler
        >>> codes = np.arange(12).reshape(1, 12).repeat(30, axis=0) % 3
        >>> sampler = MaskGITSampler(hidden_dim=8, n_steps=4, max_epochs=1)
        >>> codes, masks = sampler.fit(codes).decoding_path(2)
        >>> codes.shape, masks.sum(axis=2)[:, 0].tolist()
        ((4, 2, 12), [11, 8, 4, 0])
        """
        path = self._sample(self._decoding_history, n_samples, y, random_state)
        codes, masks = path.permute(2, 1, 0, 3).numpy()  # of (steps, samples, tokens)
        return codes, masks.astype(bool)

    def _sample(self, decode, n_samples, y, random_state):
        """Rows of ``decode``, which starts with all tokens unknown."""
        check_is_fitted(self)
        check_positive_int(n_samples, "n_samples")
        if self.guidance_scale != 1:
            self._check_class_free(f"guidance_scale={self.guidance_scale}")
        tokens = torch.zeros(n_samples, self.n_tokens_, dtype=torch.int64)
        unknown = torch.ones_like(tokens, dtype=torch.bool)
        with self._isolated(random_state):
            classes = self._sample_classes(n_samples, y)
            return self._predict_chunks(decode, tokens, unknown, classes)

    def impute(self, X, mask=None, y=None, *, n_candidates=8, random_state=None):
        """Fill in missing parts of series with parts that fit the rest.

        Tokens whose stretch of time holds a missing value are sampled given the
        others; what is decoded from them is bent, over two tokens' time, to meet the
        known values.

        Parameters
        ----------
        X : array-like of the shape that ``fit`` saw
            Series; missing values may be NaN. Needs a tokenizer and no spectrograms.
        mask : array-like of bool of the same shape, default=None
            True where a value is missing; None is where ``X`` is NaN.
        y : label or array-like of shape (n_samples,), default=None
            Class of all, or of each; None for the distribution without classes.
        n_candidates : int, default=8
            Draws a series, of which the one is taken that comes closest to its known
            values. Where a channel is missing, the others count in this choice alone:
            a token is of all channels.
        random_state : int, RandomState instance or None, default=None
            Decides the filling; None takes the estimator's.

        Returns
        -------
        ndarray
            The series; values that are not missing are exactly those given.

        Notes
        -----
        The filling is a draw, one of the ways in which a series may go on: for the
        least squared error average several. It is no closer than tokens tell: through
        gaps of a few timepoints in smooth series, straight lines are closer.
        """
        check_is_fitted(self)
        if self.tokenizer_ is None or len(self.sample_shape_) == 3:
            raise ValueError("impute needs a sampler that was fitted on series.")
        if y is None or self.guidance_scale != 1:
            self._check_class_free("impute")
        check_positive_int(n_candidates, "n_candidates")
        X = validate_series(self, X, reset=False, allow_nan=True)
        mask = np.isnan(X) if mask is None else check_mask(mask, X)
        if y is None:
            classes = torch.full((len(X),), len(self.classes_))
        else:
            classes = self._sample_classes(len(X), y)
        filled = np.array(X)
        rows = np.flatnonzero(mask.reshape(len(X), -1).any(axis=1))
        if len(rows):
            series = X[rows], mask[rows], classes[rows]
            filled[rows] = self._fill(*series, n_candidates, random_state)
        return filled

    def _fill(self, X, mask, classes, n_candidates, random_state):
        """Series without their gaps, of which each has one."""
        X = interpolate(X, mask)
        codes = torch.tensor(self.tokenizer_.encode(X))
        missing = mask.reshape(len(X), -1, X.shape[-1]).any(axis=1)
        unknown = torch.tensor(tokens_of_times(missing, self.n_tokens_))
        with self._isolated(random_state):
            draws = [
                self._predict_chunks(self._decode_iteratively, codes, unknown, classes)
                for _ in range(n_candidates)
            ]
        fillings = np.stack([self.tokenizer_.decode(draw.numpy()) for draw in draws])
        filling = closest(X, mask, fillings)
        return join(X, mask, filling, reach=2 * X.shape[-1] / self.n_tokens_)

    def score_samples(self, X):
        """Pseudo-log-likelihood: log probability of every token given all the others.

        Parameters
        ----------
        X : array-like of the shape that ``fit`` saw
            Series, or tokens.

        Returns
        -------
        ndarray of shape (n_samples,)
            Sum over the tokens, in nats; low for unusual series.

        Notes
        -----
        Comparable with the same tokenizer only: fewer codes are easier to predict. To
        search a tokenizer's parameters, take :data:`sktsrep.metrics.frechet_scorer`.
        A small training set is memorized, so its own series score far higher than similar
        new ones: take a threshold from series that ``fit`` has not seen.

        References
        ----------
        Salazar et al. 2020, "Masked language model scoring", arXiv 1910.14659.
        """
        check_is_fitted(self)
        self._check_class_free("score_samples")
        X = validate_series(self, X, reset=False)
        if self.tokenizer_ is None:
            tokens = validate_codes(X, self.n_tokens_, self.n_codes_)
        else:
            tokens = self.tokenizer_.encode(X)
        score = self._module.pseudo_log_likelihood
        return self._predict_chunks(score, torch.tensor(tokens)).numpy()

    def _check_class_free(self, what):
        if len(self.classes_) and not self._module.class_dropout:
            raise ValueError(
                f"{what} needs the distribution without classes, which a sampler "
                "fitted with labels and class_dropout=0 has not learned."
            )

    def _sample_classes(self, n_samples, y):
        if len(self.classes_) == 0:
            if y is not None:
                raise ValueError("y was given, but the sampler was fitted without.")
            return torch.zeros(n_samples, dtype=torch.int64)
        if y is None:
            prior = torch.tensor(self.class_prior_)
            return torch.multinomial(prior, n_samples, replacement=True)
        y = np.asarray(y)
        y = np.repeat(y, n_samples) if y.ndim == 0 else column_or_1d(y)
        if len(y) != n_samples:
            raise ValueError(f"y must have n_samples={n_samples} labels, got {len(y)}.")
        unknown = sorted(set(y.tolist()) - set(self.classes_.tolist()), key=str)
        if unknown:
            raise ValueError(
                f"y contains previously unseen labels: {unknown}. Known are "
                f"{self.classes_.tolist()}."
            )
        return torch.tensor(np.searchsorted(self.classes_, y))

    def _decode_iteratively(self, tokens, unknown, classes):
        """Fill the unknown tokens of a chunk."""
        *_, (tokens, _) = self._decoding_steps(tokens, unknown, classes)
        return tokens

    def _decoding_history(self, tokens, unknown, classes):
        """Tokens and masks after every step, (batch, steps, 2, tokens)."""
        steps = self._decoding_steps(tokens, unknown, classes)
        return torch.stack([torch.stack(step, dim=1) for step in steps], dim=1)

    def _decoding_steps(self, tokens, unknown, classes):
        return self._module.decoding_steps(
            tokens,
            unknown,
            classes,
            n_steps=self.n_steps,
            schedule=self.schedule,
            temperature=self.temperature,
            guidance_scale=self.guidance_scale,
        )
