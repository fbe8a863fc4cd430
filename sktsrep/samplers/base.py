"""What samplers of tokens share."""

import functools
import math
from numbers import Integral, Real

import numpy as np
import pandas as pd
import torch
from sklearn.utils import check_consistent_length, gen_batches
from sklearn.utils._param_validation import HasMethods, Interval
from sklearn.utils.validation import check_is_fitted, column_or_1d

from sktsrep._base import ScoreSamplesMixin, TorchEstimator
from sktsrep._device import random_seed, resolve_device, to_device
from sktsrep._fit import fitted_copy, learned_once, training_fit
from sktsrep._gaps import (
    by_length,
    observed_lengths,
    pad_ends,
    places_of_times,
    shares_of_time,
    to_length,
)
from sktsrep._limits import find_limits, find_values, keep_limits, keep_values
from sktsrep._texture import add_texture, find_texture
from sktsrep._validation import (
    check_known,
    check_positive_int,
    class_indices,
    validate_series,
    validate_tokens,
)
from sktsrep.imputation import GaussianImputer

__all__ = ["TokenSampler"]

# Series that tell what samples lack.
_N_SOME = 256

# Series from which scores are products with the codes' vectors: what is learned of one
# code then holds for its neighbors. A smaller data set is drawn better by a prior that
# memorizes which codes go together.
_ENOUGH_TO_TIE = 500

# Fillings differ from what is most likely by no more than so many deviations.
_MOST_DEVIATIONS = 3


class TokenSampler(ScoreSamplesMixin, TorchEstimator):
    """Base of the samplers: a tokenizer, and a network that models its tokens.

    A subclass says which network it trains, in :meth:`_make_prior`, and how that
    network draws, in :meth:`_generate`. The network has ``log_likelihood`` and, for
    :meth:`score_timepoints`, ``place_log_likelihoods``. Parameters are described in the
    subclasses of this package.
    """

    _auto_steps = 1000
    _takes_gaps = True

    _parameter_constraints = {
        "tokenizer": [HasMethods(["fit", "encode", "decode"]), None],
        "n_codes": [Interval(Integral, 1, None, closed="left"), None],
        "guidance_scale": [Interval(Real, 0, None, closed="left")],
        "class_dropout": [Interval(Real, 0, 1, closed="both")],
        "texture": ["boolean"],
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
        self.tokenizer = tokenizer
        self.n_codes = n_codes
        self.guidance_scale = guidance_scale
        self.class_dropout = class_dropout
        self.texture = texture
        self.hidden_dim = hidden_dim
        self.n_layers = n_layers
        self.n_heads = n_heads
        self.dropout = dropout

    def _make_prior(self, **sizes):
        """Make the network from ``n_codes``, ``n_tokens``, ``depth`` and others."""
        raise NotImplementedError(f"{type(self).__name__} defines no network.")

    def _generate(self, tokens, unknown, classes, generator):
        """Fill the unknown tokens of a chunk, (batch, n_tokens)."""
        raise NotImplementedError(f"{type(self).__name__} defines no drawing.")

    # ------------------------------------------------------------------ training

    @training_fit
    def fit(self, X, y=None):
        """Learn the distribution of the series' tokens.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_timepoints), (n_samples, n_channels, \
                n_timepoints) or, without a tokenizer, (n_samples, n_tokens)
            Series (whatever the tokenizer takes), or tokens. A list may hold series of
            unequal length. NaN means missing or, after the end of a series, not there.
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
        series = self._validate_training(X)
        classes = self._fit_classes(y, series)
        if self.guidance_scale != 1:
            what = f"guidance_scale={self.guidance_scale}"
            self._check_class_free(what, self.class_dropout)
        self._n_validation(len(series))
        context = self._init_callback_context(max_subtasks=2)
        context.call_on_fit_task_begin(estimator=self)
        tokens = self._fit_tokens(X, series, context.subcontext("tokenizer"))
        self._fit_lengths(series, classes)
        self._fit_imputer(series)
        self.n_tokens_ = tokens.shape[1]
        self._train(
            functools.partial(self._make_network, len(series)),
            to_device(device, tokens, classes),
            series,
            labels=classes if len(self.classes_) else None,
            subcontext=functools.partial(context.subcontext, "prior"),
        )
        self._fit_limits(series)
        self._fit_texture(series)
        context.call_on_fit_task_end(estimator=self, reconstruction_attributes={})
        return self

    def _make_network(self, n_samples):
        """Make the prior, which learns from the vectors of codes where it has them."""
        codebook = getattr(self.tokenizer_, "codebook_", np.empty((0, 0)))
        code_dim = codebook.shape[1]
        tied = code_dim > 0 and n_samples >= _ENOUGH_TO_TIE
        if self._goes_on:  # older files have neither
            made_from = self._module.made_from
            code_dim, tied = (made_from.get(name, 0) for name in ("code_dim", "tied"))
        prior = self._make_prior(
            n_codes=self.n_codes_,
            n_tokens=self.n_tokens_,
            depth=self._places[1],
            n_classes=len(self.classes_),
            dim=self.hidden_dim,
            n_layers=self.n_layers,
            n_heads=self.n_heads,
            dropout=self.dropout,
            code_dim=code_dim,
            tied=tied,
            class_dropout=self.class_dropout,
            unequal=self._lengths is not None,
        )
        if code_dim and hasattr(prior, "set_codes"):
            prior.set_codes(torch.tensor(codebook, dtype=torch.float32))
        return prior

    def _fit_classes(self, y, series):
        """Class indices; without labels, all 0, which then means "no class"."""
        if self._goes_on and (y is None) == bool(len(self.classes_)):
            is_missing = "y is missing, but the sampler was fitted with labels."
            is_given = "y was given, but the sampler was fitted without."
            raise ValueError(is_missing if y is None else is_given)
        if y is None:
            self.classes_ = np.array([])
            self.class_prior_ = np.array([])
            return np.zeros(len(series), dtype=np.int64)
        self.classes_, indices = class_indices(y, self._known_classes)
        check_consistent_length(series, indices)
        counts = np.bincount(indices, minlength=len(self.classes_))
        self.class_prior_ = counts / len(series)
        return indices

    def _fit_tokens(self, X, series, context):
        """Tokens of the training data, encoded once; fits the tokenizer.

        ``series`` is what ``X`` holds, as an array.
        """
        if self._goes_on:
            if self.tokenizer_ is None:
                self.n_codes_ = self.n_codes or self.n_codes_
            return self._encode(series)
        if self.tokenizer is None:
            self.tokenizer_ = None
            if len(self.sample_shape_) > 1:
                raise ValueError(
                    f"Without a tokenizer, {type(self).__name__} is fitted on tokens "
                    f"(n_samples, n_tokens), got X with {len(self.sample_shape_) + 1} "
                    "axes instead. For series give a tokenizer, such as "
                    "SSLVQTokenizer()."
                )
            tokens = validate_tokens(X, None, self.n_codes)
            self.n_codes_ = self.n_codes or int(tokens.max()) + 1
            return tokens
        self.tokenizer_ = fitted_copy(
            self.tokenizer, X, self.random_state, context, self.checkpoint
        )
        fitted_shape = getattr(self.tokenizer_, "sample_shape_", self.sample_shape_)
        if fitted_shape != self.sample_shape_:
            raise ValueError(
                f"X has samples of shape {self.sample_shape_}, but the tokenizer was "
                f"fitted on samples of shape {fitted_shape}."
            )
        self.n_codes_ = len(self.tokenizer_.codebook_)
        tokens = self.tokenizer_.encode(X)
        # Series may all end before the array does.
        n_tokens = math.prod(getattr(self.tokenizer_, "token_shape_", (0,)))
        return pad_ends(tokens, max(n_tokens, tokens.shape[1]), value=-1)

    def _fit_lengths(self, series, classes):
        """Learn the lengths of unequal series, and whose they are."""
        were_unequal = self._goes_on and self._lengths is not None
        self._lengths = None
        if self.tokenizer_ is None or series.ndim == 4:
            return
        lengths = observed_lengths(series)
        if were_unequal or (lengths < series.shape[-1]).any():
            self._lengths, self._classes_of_lengths = lengths, classes

    @learned_once
    def _fit_imputer(self, series):
        """Learn what tells missing values; None without series."""
        self.imputer_ = None
        if self.tokenizer_ is not None and series.ndim < 4:
            self.imputer_ = GaussianImputer().fit(series)

    def _fit_limits(self, series):
        """Learn which values there are; None without series."""
        has_series = self.tokenizer_ is not None and series.ndim < 4
        self._limits = find_limits(series) if has_series else None
        self._values = find_values(series) if has_series else None

    def _fit_texture(self, series):
        """Learn the noise that samples lack; None without series."""
        self.texture_ = None
        if self.texture and self.imputer_ is not None:
            some = series[:: -(-len(series) // _N_SOME)]
            self.texture_ = find_texture(some, self.sample(_N_SOME))

    def _encode(self, X):
        """Tokens of an array that was validated here, under the tokenizer's names."""
        if self.tokenizer_ is None:
            return validate_tokens(X, self.n_tokens_, self.n_codes_)
        names = getattr(self.tokenizer_, "feature_names_in_", None)
        X = X if names is None else pd.DataFrame(X, columns=names)
        tokens = self.tokenizer_.encode(X)
        return pad_ends(tokens, self.n_tokens_, value=-1)

    def fit_resample(self, X, y, random_state=None):
        """Fit, and add new series of the rarer classes until all are equally frequent.

        This is the interface of imbalanced-learn, so that a sampler can stand in its
        pipelines. A ``guidance_scale`` of about 2 serves rare classes.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_timepoints) or (n_samples, n_channels, \
                n_timepoints)
            Series (whatever the tokenizer takes).
        y : array-like of shape (n_samples,)
            Class labels.
        random_state : int, RandomState instance, Generator or None, default=None
            Decides the samples; None takes the estimator's.

        Returns
        -------
        X_resampled : ndarray
            The series, and the new ones after them.
        y_resampled : ndarray of shape (n_resampled,)
            Their classes.
        """
        self.fit(X, y)
        X, y = np.asarray(X), np.asarray(y)
        classes, counts = np.unique(y, return_counts=True)
        y_new = np.repeat(classes, counts.max() - counts)
        if len(y_new) == 0:
            return X, y
        X_new = self.sample(len(y_new), y_new, random_state)
        return np.concatenate([X, X_new]), np.concatenate([y, y_new])

    # ------------------------------------------------------------------ sampling

    def sample(self, n_samples=1, y=None, random_state=None):
        """Draw new series.

        Parameters
        ----------
        n_samples : int, default=1
            How many.
        y : label or array-like of shape (n_samples,), default=None
            Class of all, or of each. None draws classes as frequent as in the
            training data.
        random_state : int, RandomState instance, Generator or None, default=None
            Decides the samples; None takes the estimator's. An int gives the same
            samples at every call, as everywhere in scikit-learn. For others at every
            call, pass a RandomState or a numpy Generator, which goes on.

        Returns
        -------
        ndarray
            ``n_samples`` samples of the shape and dtype that ``fit`` saw; tokens
            (int64) when fitted on tokens. Where series of ``fit`` had unequal lengths,
            samples are as long as random ones of their class, and end with NaN.
        """
        rows, lengths = self._draw_rows(self._generate, n_samples, y, random_state)
        tokens = rows.numpy()
        if self.tokenizer_ is None:
            return tokens
        if lengths is None:
            series = self.tokenizer_.decode(tokens)
        else:
            series = self.tokenizer_.decode(tokens, lengths)
            series = pad_ends(series, self.sample_shape_[-1])
        return self._finish(series, random_state)

    def _finish(self, series, random_state):
        """Give decoded series texture, and bring them back within limits."""
        # Older files have none of these.
        texture, values, limits = (
            getattr(self, name, None) for name in ("texture_", "_values", "_limits")
        )
        if texture is not None:
            random_state = self.random_state if random_state is None else random_state
            series = add_texture(series, texture, random_seed(random_state))
        if values is not None:
            series = keep_values(series, values)
        return series if limits is None else keep_limits(series, limits)

    def sample_batches(self, n_samples, batch_size=1024, *, y=None, random_state=None):
        """Draw new series, a part at a time.

        Parameters
        ----------
        n_samples : int
            How many in all.
        batch_size : int, default=1024
            Series per part; the last part may have fewer.
        y, random_state
            As in :meth:`sample`.

        Returns
        -------
        iterator of ndarray
            Parts. They do not depend on how many follow, but on ``batch_size``.
        """
        check_positive_int(n_samples, "n_samples")
        check_positive_int(batch_size, "batch_size")
        self._given_classes(n_samples, y)  # raises now, not later
        labels = None if y is None else np.broadcast_to(y, n_samples)
        random_state = self.random_state if random_state is None else random_state
        rng = np.random.RandomState(random_seed(random_state))
        return (
            self.sample(
                rows.stop - rows.start,
                y=None if labels is None else labels[rows],
                random_state=rng,
            )
            for rows in gen_batches(n_samples, batch_size)
        )

    def sample_tokens(self, n_samples=1, y=None, random_state=None):
        """Draw the tokens of new series.

        Parameters
        ----------
        n_samples, y, random_state
            As in :meth:`sample`.

        Returns
        -------
        ndarray of shape (n_samples, n_tokens), int64
        """
        rows, _ = self._draw_rows(self._generate, n_samples, y, random_state)
        return rows.numpy()

    def _draw_rows(self, draw, n_samples, y, random_state):
        """Rows of ``draw``, which starts with all tokens unknown, and the lengths.

        Lengths are None where all series are as long as in ``fit``.
        """
        check_is_fitted(self)
        check_positive_int(n_samples, "n_samples")
        self._check_guidance()
        tokens = np.zeros((n_samples, self.n_tokens_), dtype=np.int64)
        unknown = np.ones(tokens.shape, dtype=bool)
        host, generator = self._generators(random_state)
        classes = self._sample_classes(n_samples, y, host)
        lengths = self._draw_lengths(classes, host)
        if lengths is not None:
            present = [self.tokenizer_.count_tokens(n) for n in lengths.tolist()]
            tokens[np.arange(self.n_tokens_) >= np.reshape(present, (-1, 1))] = -1
        draw = functools.partial(draw, generator=generator)
        return self._apply_in_chunks(draw, tokens, unknown, classes), lengths

    def _draw_lengths(self, classes, generator):
        """Lengths of random training series of these classes; None for equal ones."""
        if self._lengths is None:
            return None
        drawn = torch.rand(len(classes), generator=generator, device="cpu").numpy()
        lengths = np.empty(len(classes), dtype=np.int64)
        for class_ in np.unique(classes):
            rows = classes == class_
            known = self._lengths
            of_class = known[self._classes_of_lengths == class_]
            if len(of_class) and class_ < len(self.classes_):
                known = of_class
            lengths[rows] = known[(drawn[rows] * len(known)).astype(np.int64)]
        return lengths

    def score_samples(self, X):
        """Compute the log-likelihood of every series' tokens, without classes.

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
        :class:`AutoregressiveSampler` gives the exact log-likelihood.
        :class:`MaskGITSampler` gives the pseudo-log-likelihood, the sum of every
        token's log probability given all other tokens (Salazar et al. 2020, arXiv
        1910.14659).

        Comparable with the same tokenizer only: fewer codes are easier to predict. To
        search a tokenizer's parameters, take :data:`sktsrep.metrics.frechet_scorer`.
        A small training set is memorized, so its own series score far higher than
        similar new ones: take a threshold from series that ``fit`` has not seen.
        """
        check_is_fitted(self)
        self._check_class_free("score_samples")
        tokens = self._encode(self._check(X))
        score = self._module.log_likelihood
        return self._apply_in_chunks(score, tokens).numpy()

    def score_timepoints(self, X):
        """Compute the log-likelihood of every stretch of time, without classes.

        Parameters
        ----------
        X : array-like of the shape that ``fit`` saw
            Series; tokens and spectrograms have no timepoints.

        Returns
        -------
        ndarray of shape (n_samples, n_timepoints)
            In nats per timepoint; low for unusual timepoints. The sum over time is
            :meth:`score_samples`.

        Notes
        -----
        Every place of tokens tells of an equal stretch of time. Its log-likelihood is
        shared among the timepoints there, and fades into that of its neighbors. A
        place for the level of the whole series is shared evenly.
        """
        self._check_series("score_timepoints")
        self._check_class_free("score_timepoints")
        X = self._check(X)
        tokens = self._encode(X)
        score = self._module.place_log_likelihoods
        places = self._apply_in_chunks(score, tokens).numpy()
        n_present = (tokens >= 0).sum(axis=1) // self._places[1]

        def spread(length, rows):
            present = places[rows, : n_present[rows[0]]]
            level = present[:, : self._n_level_places].sum(axis=1, keepdims=True)
            present = present[:, self._n_level_places :]
            shares = shares_of_time(present.shape[1], length)
            # By einsum: a matrix product's rounding depends on the number of rows.
            return level / length + np.einsum("np,pt->nt", present, shares)

        scores = by_length(spread, observed_lengths(X))
        return pad_ends(scores, X.shape[-1])

    def _check(self, X):
        """Tokens, or series that are no longer than those of ``fit``, with NaN."""
        check_is_fitted(self)
        is_free = self.tokenizer_ is not None
        X = validate_series(self, X, reset=False, allow_nan=True, any_length=is_free)
        return to_length(X, self.sample_shape_[-1], type(self).__name__)

    def _check_guidance(self):
        if self.guidance_scale != 1:
            self._check_class_free(f"guidance_scale={self.guidance_scale}")

    def _check_class_free(self, what, class_dropout=None):
        if class_dropout is None:
            class_dropout = self._module.class_dropout
        if len(self.classes_) and not class_dropout:
            raise ValueError(
                f"{what} needs the distribution without classes, which a sampler "
                "fitted with labels and class_dropout=0 has not learned."
            )

    def _check_series(self, what):
        check_is_fitted(self)
        if self.tokenizer_ is None or len(self.sample_shape_) == 3:
            raise ValueError(f"{what} needs a sampler that was fitted on series.")

    def _sample_classes(self, n_samples, y, generator):
        """Class indices of samples, drawn where ``y`` is None."""
        if y is None and len(self.classes_):
            prior = torch.from_numpy(self.class_prior_)
            drawn = torch.multinomial(prior, n_samples, True, generator=generator)
            return drawn.numpy()
        return self._given_classes(n_samples, y)

    def _given_classes(self, n_samples, y):
        """Class indices of labels; "no class" where ``y`` is None."""
        if y is None:
            return np.full(n_samples, len(self.classes_))
        if len(self.classes_) == 0:
            raise ValueError("y was given, but the sampler was fitted without.")
        y = np.asarray(y)
        y = np.repeat(y, n_samples) if y.ndim == 0 else column_or_1d(y)
        if len(y) != n_samples:
            raise ValueError(f"y must have n_samples={n_samples} labels, got {len(y)}.")
        check_known(y, self.classes_)
        return np.searchsorted(self.classes_, y)

    @property
    def _places(self):
        """Places of a series, and tokens per place."""
        return getattr(self.tokenizer_, "token_shape_", (self.n_tokens_, 1))

    @property
    def _n_level_places(self):
        """How many places, the first, tell of the whole series."""
        return int(getattr(self.tokenizer_, "level_codebook_", None) is not None)

    def _unknown_tokens(self, mask):
        """Which tokens a mask of missing values (n_samples, ..., time) hides."""
        n_places, depth = self._places
        missing = mask.reshape(len(mask), -1, mask.shape[-1])
        n_levels = self._n_level_places
        hidden = places_of_times(missing.any(axis=1), n_places - n_levels)
        # The level follows from what is known, unless nothing is of some channel.
        lost = missing.all(axis=2).any(axis=1, keepdims=True)
        hidden = np.hstack([lost.repeat(n_levels, axis=1), hidden])
        return hidden.repeat(depth, axis=1)

    def _meet(self, likely, std, mask, drawn):
        """Drawn series (n_draws, *likely.shape), moved to what was observed.

        ``likely`` and ``std`` are what the imputer gives. What is drawn differs from
        its own most likely values as real series do (Matheron's rule), but by no more
        than a few deviations: decoders have errors where observed values leave none.
        """
        # Together, because weights are those of a mask.
        series = drawn.reshape(-1, *likely.shape[1:])
        masks = np.concatenate([mask] * len(drawn))
        misses = drawn - self.imputer_.impute(series, masks).reshape(drawn.shape)
        most = _MOST_DEVIATIONS * std  # 0 where values are known
        return likely + misses.clip(-most, most)
