"""Samplers: sampling, guidance, imputation, continuation, likelihood, learning."""

import numpy as np
import pandas as pd
import pytest
from estimators import tiny_autoregressive, tiny_sampler, tiny_tokenizer, waves
from sklearn.base import BaseEstimator
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import make_pipeline

from sktsrep import STFTTransformer
from sktsrep.functional import MASK_SCHEDULES
from sktsrep.quantizers import EMACodebook
from sktsrep.samplers import TokenSampler


@pytest.fixture(scope="module")
def fitted():
    X, y = waves(dtype=np.float32)
    return tiny_sampler(tiny_tokenizer()).fit(X, np.array(["slow", "fast"])[y])


@pytest.mark.parametrize("n_channels", [None, 2])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_samples_look_like_what_fit_saw(n_channels, dtype):
    X, _ = waves(n_channels=n_channels, dtype=dtype)
    samples = tiny_sampler(tiny_tokenizer()).fit(X).sample(5)
    assert samples.shape == (5, *X.shape[1:])
    assert samples.dtype == dtype


def test_tokenizer_fitted_frozen_or_by_hand_give_the_same_samples():
    X, y = waves()
    tokenizer = tiny_tokenizer(output="tokens").fit(X)
    expected = tiny_sampler(tokenizer).fit(X, y).sample(5)
    frozen = tiny_sampler(FrozenEstimator(tokenizer)).fit(X, y)
    np.testing.assert_array_equal(frozen.tokenizer_.codebook_, tokenizer.codebook_)
    np.testing.assert_array_equal(frozen.sample(5), expected)
    tokens = tokenizer.transform(X)
    # Otherwise the sizes of the codebooks would differ.
    assert tokens.max() == len(tokenizer.codebook_) - 1
    by_hand = tiny_sampler().fit(tokens, y)
    restored = tokenizer.inverse_transform(by_hand.sample(5))
    # By hand, the prior does not know the vectors of codes, and nothing adds texture.
    tokenizer.codebook_ = tokenizer.codebook_[:, :0]
    blind = tiny_sampler(FrozenEstimator(tokenizer), texture=False).fit(X, y)
    np.testing.assert_array_equal(restored, blind.sample(5))


def test_a_frozen_tokenizer_may_be_fitted_again():
    X, y = waves()
    tokenizer = tiny_tokenizer().fit(X)
    sampler = tiny_sampler(FrozenEstimator(tokenizer)).fit(X, y)
    before = sampler.sample(5)
    tokenizer.fit(100 * X + 7)
    np.testing.assert_array_equal(sampler.sample(5), before)


def test_a_frozen_tokenizer_must_be_fitted():
    with pytest.raises(NotFittedError):
        tiny_sampler(FrozenEstimator(tiny_tokenizer())).fit(waves()[0])


def test_pipeline_from_series_to_series():
    X, y = waves()
    generator = make_pipeline(
        STFTTransformer(device="cpu"), tiny_tokenizer(output="tokens"), tiny_sampler()
    ).fit(X, y)
    tokens = generator[-1].sample(7)
    assert tokens.dtype == np.int64
    assert generator[:-1].inverse_transform(tokens).shape == (7, 50)


def test_samples_repeat_and_differ(fitted):
    same = [fitted.sample(4, random_state=1) for _ in range(2)]
    np.testing.assert_array_equal(*same)
    assert (fitted.sample(4, random_state=2) != same[0]).any()
    np.testing.assert_array_equal(fitted.sample(4), fitted.sample(4))


def test_decoding_path_ends_in_the_sample(fitted):
    tokens, masks = fitted.decoding_path(66, random_state=1)
    n_steps, n_tokens = fitted.n_steps, fitted.n_tokens_
    assert tokens.shape == masks.shape == (n_steps, 66, n_tokens)
    assert (tokens.dtype, masks.dtype) == (np.int64, bool)
    expected = fitted.sample_tokens(66, random_state=1)
    np.testing.assert_array_equal(tokens[-1], expected)


def test_decoding_path_settles_tokens_for_good(fitted):
    tokens, masks = fitted.decoding_path(5, y="fast", random_state=0)
    n_masked = masks.sum(axis=2)
    assert (np.diff(n_masked, axis=0) < 0).all()
    assert (n_masked[-1] == 0).all()
    for step in range(fitted.n_steps - 1):
        settled = ~masks[step]
        assert not masks[step + 1][settled].any()
        np.testing.assert_array_equal(tokens[step + 1][settled], tokens[step][settled])


@pytest.mark.parametrize("n_samples", [1, 64, 65])
def test_numbers_of_samples(fitted, n_samples):
    assert len(fitted.sample(n_samples)) == n_samples


def test_labels_by_name(fitted):
    assert len(fitted.sample(3, y="fast")) == 3
    assert len(fitted.sample(2, y=["slow", "fast"])) == 2
    np.testing.assert_allclose(fitted.class_prior_, [0.5, 0.5])


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ({"y": "medium"}, "previously unseen labels: .'medium'"),
        ({"n_samples": 3, "y": ["slow"]}, "must have n_samples=3 labels"),
        ({"n_samples": 0}, "n_samples must be an int of at least 1"),
        ({"n_samples": 2.5}, "n_samples must be an int of at least 1"),
    ],
)
def test_bad_requests(fitted, arguments, match):
    with pytest.raises(ValueError, match=match):
        fitted.sample(**arguments)


def test_labels_for_a_sampler_without():
    sampler = tiny_sampler(tiny_tokenizer()).fit(waves()[0])
    with pytest.raises(ValueError, match="fitted without"):
        sampler.sample(2, y=0)


def test_continuous_targets_are_no_labels():
    X, _ = waves()
    with pytest.raises(ValueError, match="Unknown label type"):
        tiny_sampler(tiny_tokenizer()).fit(X, X[:, 0])


def test_series_need_a_tokenizer():
    with pytest.raises(ValueError, match="Series need a tokenizer"):
        tiny_sampler().fit(waves()[0])


def test_a_codebook_may_hold_more_than_fit_saw():
    tokens = np.random.default_rng(0).integers(0, 8, size=(20, 6))
    unseen = tokens + 1
    with pytest.raises(ValueError, match=r"must lie in \[0, 8\)"):
        tiny_sampler().fit(tokens).score(unseen)
    sampler = tiny_sampler(n_codes=16).fit(tokens)
    assert sampler.n_codes_ == 16
    assert np.isfinite(sampler.score(unseen))
    with pytest.raises(ValueError, match=r"must lie in \[0, 4\)"):
        tiny_sampler(n_codes=4).fit(tokens)


@pytest.mark.parametrize("schedule", MASK_SCHEDULES)
@pytest.mark.parametrize("n_steps", [1, 3, 50])
def test_schedules_and_steps(schedule, n_steps):
    tokens = np.random.default_rng(0).integers(0, 8, size=(20, 6))
    sampler = tiny_sampler(schedule=schedule, n_steps=n_steps).fit(tokens)
    samples = sampler.sample(9)
    assert samples.shape == (9, 6)
    assert samples.min() >= 0
    assert samples.max() <= tokens.max()


def trained_on_two_words(**params):
    """Class 0 always says 0 1 2 3 ..., class 1 the reverse."""
    words = np.array([np.arange(6), np.arange(6)[::-1]])
    y = np.arange(60) % 2
    small = {"hidden_dim": 32, "max_epochs": 90, "lr": 5e-3, "dropout": 0.0}
    return words, tiny_sampler(**small, **params).fit(words[y], y)


def test_learns_the_distribution():
    words, sampler = trained_on_two_words(n_steps=6)
    for label in (0, 1):
        samples = sampler.sample(50, y=label)
        assert (samples == words[label]).all(axis=1).mean() > 0.9
    unlabelled = (sampler.sample(100)[:, None] == words).all(axis=2)
    assert unlabelled.any(axis=1).mean() > 0.9
    assert 0.3 < unlabelled[:, 0].mean() < 0.7


def test_guidance_scale_from_none_to_the_class():
    words, sampler = trained_on_two_words(class_dropout=0.5, n_steps=6)
    share = {}
    for scale in (0.0, 1.0, 1.5):
        samples = sampler.set_params(guidance_scale=scale).sample(200, y=0)
        share[scale] = (samples == words[0]).all(axis=1).mean()
    assert share[0.0] < 0.7  # both words
    assert share[1.0] > 0.9
    assert share[1.5] > 0.9


def test_without_class_dropout_only_classes_can_be_sampled():
    X, y = waves()
    sampler = tiny_sampler(tiny_tokenizer(), class_dropout=0.0).fit(X, y)
    assert sampler.sample(2).shape == (2, 50)
    message = "needs the distribution without classes"
    with pytest.raises(ValueError, match=f"score_samples {message}"):
        sampler.score(X)
    with pytest.raises(ValueError, match=f"impute {message}"):
        sampler.impute(X, X > 0)
    assert np.isfinite(sampler.impute(X, X > 0, y)).all()
    with pytest.raises(ValueError, match=f"guidance_scale=2.0 {message}"):
        sampler.set_params(guidance_scale=2.0).sample(2)
    with pytest.raises(ValueError, match=f"guidance_scale=2.0 {message}"):
        sampler.set_params(max_epochs=10**6).fit(X, y)  # before any work
    sampler.set_params(max_epochs=1)
    sampler.set_params(guidance_scale=1.0).fit(X)  # no classes to do without
    assert np.isfinite(sampler.score(X))


def test_frozen_tokenizers_of_data_frames_compare_the_names_once():
    X, _ = waves()
    frame = pd.DataFrame(X, columns=[f"t{i}" for i in range(50)])
    frozen = FrozenEstimator(tiny_tokenizer().fit(frame))
    sampler = tiny_sampler(frozen).fit(frame)
    assert np.isfinite(sampler.score_samples(frame)).all()
    np.testing.assert_array_equal(sampler.impute(frame, np.zeros(X.shape)), X)
    with pytest.raises(ValueError, match="feature names should match"):
        tiny_sampler(frozen).fit(frame.rename(columns={"t0": "other"}))


def test_likelihood_finds_the_odd_one_out():
    words, sampler = trained_on_two_words()
    odd = np.array([[3, 3, 3, 0, 0, 0]])
    scores = sampler.score_samples(np.concatenate([words, odd]))
    assert scores.shape == (3,)
    assert (scores <= 0).all()
    assert scores[2] < scores[:2].min() - 5
    assert sampler.score(words) == pytest.approx(scores[:2].mean())


@pytest.mark.parametrize("n_channels", [None, 2])
def test_impute_keeps_what_is_known(n_channels):
    X, _ = waves(n_channels=n_channels)
    sampler = tiny_sampler(tiny_tokenizer()).fit(X)
    mask = np.zeros(X.shape, dtype=bool)
    mask[:10, ..., 20:30] = True
    filled = sampler.impute(np.where(mask, np.nan, X), mask, random_state=0)
    np.testing.assert_array_equal(filled[~mask], X[~mask])
    assert np.isfinite(filled).all()
    np.testing.assert_array_equal(
        filled, sampler.impute(np.where(mask, np.nan, X), mask, random_state=0)
    )


def test_missing_values_are_nan_without_a_mask():
    X, _ = waves()
    sampler = tiny_sampler(tiny_tokenizer()).fit(X)
    X[:, 20:30] = np.nan
    np.testing.assert_array_equal(sampler.impute(X), sampler.impute(X, np.isnan(X)))


def test_imputation_of_a_class(fitted):
    X, _ = waves(dtype=np.float32)
    unknown = np.full_like(X[:8], np.nan)
    fast = fitted.impute(unknown, y="fast", n_candidates=1, random_state=0)
    # Nothing is known: these are samples of the class.
    tokens = fitted.sample_tokens(8, y="fast", random_state=0)
    expected = fitted.tokenizer_.decode(tokens)
    np.testing.assert_allclose(fast, expected, atol=1e-6)
    with pytest.raises(ValueError, match="previously unseen labels"):
        fitted.impute(X, y="other")


def test_a_channel_is_inferred_from_one_that_tells_it():
    X, _ = waves(n_samples=60, n_channels=1)
    X = np.repeat(X, 2, axis=1)
    sampler = tiny_sampler(tiny_tokenizer()).fit(X)
    hidden = X.copy()
    hidden[:, 1] = np.nan
    assert np.square(sampler.impute(hidden) - X).mean() < 1e-3 * X.var()


def test_candidates_that_fit_what_is_known_are_closer():
    rng = np.random.default_rng(0)
    signs = rng.choice([-1, 1], size=(200, 1))
    X = signs * np.sin(np.arange(50) / 4) ** 2 + 0.05 * rng.normal(size=(200, 50))
    sampler = tiny_sampler(
        tiny_tokenizer(quantizer=EMACodebook(16, dim=4), max_epochs=20, lr=1e-2),
        max_epochs=20,
        lr=1e-2,
    ).fit(X)
    hidden = X[:50].copy()
    hidden[:, 10:] = np.nan
    one, several = (
        np.mean(
            [
                np.square(
                    sampler.impute(hidden, n_candidates=n, random_state=i) - X[:50]
                )
                for i in range(4)
            ]
        )
        for n in (1, 8)
    )
    assert several < 0.9 * one


def test_all_series_may_end_before_the_array_does():
    X, _ = waves(n_samples=20)
    padded = np.pad(X, ((0, 0), (0, 15)), constant_values=np.nan)
    padded[:, 20:25] = np.nan
    sampler = tiny_sampler(tiny_tokenizer()).fit(padded)
    assert np.isfinite(sampler.impute(padded[:3], random_state=0)).all()
    assert np.isfinite(sampler.forecast(X[:2], 5, n_draws=2)).all()
    assert np.isnan(sampler.sample(3)[:, 50:]).all()
    short = sampler.impute([X[0, :30], X[1, :40]], random_state=0)
    np.testing.assert_array_equal(short[1, :40], X[1, :40])


def test_whole_series_do_not_change_what_others_are_filled_with(fitted):
    X, _ = waves(dtype=np.float32)
    X[::4, 20:30] = np.nan
    alone = fitted.impute(X[::4], random_state=0)
    np.testing.assert_array_equal(fitted.impute(X, random_state=0)[::4], alone)


def test_imputed_stretches_meet_what_is_known():
    train, X = np.split(waves(n_samples=120)[0], 2)
    sampler = tiny_sampler(tiny_tokenizer()).fit(train)
    mask = np.zeros(X.shape, dtype=bool)
    mask[:, 20:35] = True
    filled = sampler.impute(X, mask, random_state=0)
    decoded = sampler.tokenizer_.reconstruct(X)
    for known, first in ((19, 20), (35, 34)):
        real, step, unmoved = (
            np.abs(part[:, first] - X[:, known]).mean() for part in (X, filled, decoded)
        )
        assert step < 1.1 * real < unmoved / 1.5


def test_impute_everything_or_nothing(fitted):
    X, _ = waves(dtype=np.float32)
    everything = np.ones_like(X, dtype=bool)
    assert np.isfinite(fitted.impute(np.full_like(X, np.nan), everything)).all()
    np.testing.assert_array_equal(fitted.impute(X, ~everything), X)


def test_bad_imputation(fitted):
    X, _ = waves(dtype=np.float32)
    for mask in (np.full(X.shape, "False"), np.full(X.shape, 0.5)):
        with pytest.raises(ValueError, match="mask must hold booleans"):
            fitted.impute(X, mask)
    with pytest.raises(ValueError, match="mask must have the shape"):
        fitted.impute(X, np.zeros((2, 2)))
    with pytest.raises(ValueError, match="contains NaN where mask is False"):
        fitted.impute(np.full_like(X, np.nan), np.zeros(X.shape))


def test_impute_needs_series():
    sampler = tiny_sampler().fit(np.zeros((4, 3), dtype=int))
    with pytest.raises(ValueError, match="fitted on series"):
        sampler.impute(np.zeros((4, 3)), np.zeros((4, 3)))


# ----------------------------------------------------------------------- autoregressive


@pytest.fixture(scope="module")
def autoregressive():
    X, y = waves(dtype=np.float32)
    sampler = tiny_autoregressive(tiny_tokenizer())
    return sampler.fit(X, np.array(["slow", "fast"])[y])


def trained_on_three_words(**params):
    """Half of all series are word 0; words 1 and 2 begin alike."""
    words = np.array([[0, 1, 2, 0, 1], [2, 2, 1, 1, 0], [2, 2, 0, 0, 1]])
    y = np.array([0, 0, 1, 2] * 25)
    small = {"hidden_dim": 32, "max_epochs": 90, "lr": 5e-3, "dropout": 0.0}
    return words, tiny_autoregressive(**small, **params).fit(words[y], y)


def test_likelihoods_of_all_series_add_up_to_one():
    words = np.random.default_rng(0).integers(0, 3, size=(30, 4))
    sampler = tiny_autoregressive(n_codes=3).fit(words)
    everything = np.stack(np.meshgrid(*[range(3)] * 4), axis=-1).reshape(-1, 4)
    total = np.exp(sampler.score_samples(everything)).sum()
    assert total == pytest.approx(1, abs=1e-6)


def test_likelihoods_are_the_shares_that_are_sampled():
    words, sampler = trained_on_three_words(class_dropout=0.5)
    shares = np.exp(sampler.score_samples(words))  # nats
    np.testing.assert_allclose(shares, [0.5, 0.25, 0.25], atol=0.1)
    samples = sampler.set_params(guidance_scale=0.0).sample(2000, random_state=0)
    drawn = (samples[:, None] == words).all(axis=2).mean(axis=0)
    np.testing.assert_allclose(drawn, shares, atol=0.04)


def test_classes_and_guidance_of_the_autoregressive_sampler():
    words, sampler = trained_on_three_words(class_dropout=0.3)
    for scale in (1.0, 1.5):
        samples = sampler.set_params(guidance_scale=scale).sample(100, y=2)
        assert (samples == words[2]).all(axis=1).mean() > 0.9


def test_temperature_zero_draws_the_most_probable_series():
    words, sampler = trained_on_three_words(temperature=0.0)
    samples = sampler.sample(3, y=[0, 1, 2])
    np.testing.assert_array_equal(samples, words)


def test_tokens_are_continued_from_their_beginnings():
    words, sampler = trained_on_three_words(class_dropout=0.3)
    continued = sampler.extend([[2, 2]] * 200, random_state=0)
    shares = (continued[:, None] == words).all(axis=2).mean(axis=0)
    np.testing.assert_allclose(shares, [0, 0.5, 0.5], atol=0.15)
    of_class = sampler.extend([[2, 2]] * 50, y=1)
    assert (of_class == words[1]).all(axis=1).mean() > 0.9
    np.testing.assert_array_equal(sampler.extend(words), words)  # nothing is left


def test_series_are_continued_from_their_beginnings(autoregressive):
    X, _ = waves(dtype=np.float32)
    for n_known in (1, 30, 49, 50):
        extended = autoregressive.extend(X[:, :n_known], random_state=0)
        assert (extended.shape, extended.dtype) == (X.shape, X.dtype)
        np.testing.assert_array_equal(extended[:, :n_known], X[:, :n_known])
        assert np.isfinite(extended).all()
    again = autoregressive.extend(X[:, :30], random_state=0)
    other = autoregressive.extend(X[:, :30], random_state=1)
    np.testing.assert_array_equal(
        again, autoregressive.extend(X[:, :30], random_state=0)
    )
    assert (again != other).any()


def test_several_channels_are_continued():
    X, _ = waves(n_channels=2)
    sampler = tiny_autoregressive(tiny_tokenizer()).fit(X)
    extended = sampler.extend(X[:5, :, :20])
    assert extended.shape == (5, 2, 50)
    np.testing.assert_array_equal(extended[..., :20], X[:5, :, :20])


@pytest.mark.parametrize(
    ("shape", "match"),
    [
        ((2, 51), "X has 51 values per series, but .* is expecting 1 to 50"),
        ((2, 0), "minimum of 1 is required"),
        ((2, 2, 20), "expecting beginnings of samples of shape"),
        ((20,), "Reshape your data|expecting beginnings"),
    ],
)
def test_beginnings_must_fit(autoregressive, shape, match):
    with pytest.raises(ValueError, match=match):
        autoregressive.extend(np.zeros(shape))


def test_beginnings_have_no_gaps(autoregressive):
    with pytest.raises(ValueError, match="contains NaN"):
        autoregressive.extend(np.full((2, 20), np.nan))


def test_a_beginning_longer_than_the_series_of_tokens():
    _, sampler = trained_on_three_words()
    with pytest.raises(ValueError, match="X has 6 values per series"):
        sampler.extend([[0] * 6])
    with pytest.raises(ValueError, match=r"must lie in \[0, 3\)"):
        sampler.extend([[7]])


def test_the_autoregressive_sampler_without_class_dropout():
    X, y = waves()
    sampler = tiny_autoregressive(tiny_tokenizer(), class_dropout=0.0).fit(X, y)
    message = "needs the distribution without classes"
    with pytest.raises(ValueError, match=f"extend {message}"):
        sampler.extend(X[:, :20])
    assert sampler.extend(X[:, :20], y).shape == X.shape
    with pytest.raises(ValueError, match=f"score_samples {message}"):
        sampler.score(X)


@pytest.mark.parametrize("maker", [tiny_sampler, tiny_autoregressive])
def test_a_strangers_tokenizer_needs_three_things(maker):
    class Rounding(BaseEstimator):
        """One token per timepoint: the value, rounded."""

        def fit(self, X, y=None):
            self.codebook_ = np.arange(-2, 3)[:, None]
            return self

        def encode(self, X):
            return np.clip(np.round(X), -2, 2).astype(int) + 2

        def decode(self, tokens):
            return self.codebook_[tokens, 0].astype(float)

    X, y = waves(n_timepoints=12)
    sampler = maker(Rounding()).fit(X, y)
    assert sampler.sample(4, y=1).shape == (4, 12)
    assert np.isfinite(sampler.score_samples(X)).all()


def test_the_base_of_samplers_draws_nothing():
    with pytest.raises(NotImplementedError, match="TokenSampler defines no network"):
        TokenSampler(max_epochs=1).fit([[0, 1]])


def test_data_frames_are_filled_as_data_frames():
    X, _ = waves()
    frame = pd.DataFrame(X, columns=[f"t{i}" for i in range(50)], index=range(40, 80))
    sampler = tiny_sampler(tiny_tokenizer()).fit(frame)
    gaps = frame.mask(frame > 0.5)
    filled = sampler.impute(gaps, random_state=0)
    assert isinstance(filled, pd.DataFrame)
    pd.testing.assert_index_equal(filled.columns, frame.columns)
    pd.testing.assert_index_equal(filled.index, frame.index)
    assert filled.notna().all(axis=None)


def test_several_draws_give_a_mean_and_a_spread(fitted):
    X, _ = waves(dtype=np.float32)
    mask = np.zeros(X.shape, dtype=bool)
    mask[:20, 15:35] = True
    filled, std = fitted.impute(X, mask, n_draws=8, return_std=True, random_state=0)
    assert filled.dtype == std.dtype == X.dtype
    np.testing.assert_array_equal(filled[~mask], X[~mask])
    assert (std[~mask] == 0).all()
    assert (std[mask] > 0).mean() > 0.9
    one = fitted.impute(X, mask, random_state=0)
    np.testing.assert_array_equal(
        one, fitted.impute(X, mask, n_draws=1, random_state=0)
    )
    with pytest.raises(ValueError, match="n_draws of at least 2"):
        fitted.impute(X, mask, return_std=True)


@pytest.mark.parametrize("maker", [tiny_sampler, tiny_autoregressive])
def test_rare_classes_are_filled_up(maker):
    X, y = waves()
    rows = np.flatnonzero((y == 0) | (np.arange(40) < 10))  # 20 and 5
    labels = np.array(["slow", "fast"])[y[rows]]
    sampler = maker(tiny_tokenizer())
    X_resampled, y_resampled = sampler.fit_resample(X[rows], labels)
    np.testing.assert_array_equal(X_resampled[:25], X[rows])
    assert X_resampled.shape == (40, 50)
    assert (y_resampled[25:] == "fast").all()
    balanced, _ = maker(tiny_tokenizer()).fit_resample(X, y)
    np.testing.assert_array_equal(balanced, X)
