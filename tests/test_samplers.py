"""MaskGITSampler: sampling, guidance, imputation, likelihood, learning."""

import numpy as np
import pandas as pd
import pytest
from estimators import tiny_sampler, tiny_tokenizer, waves
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import make_pipeline

from sktsrep import STFTTransformer
from sktsrep.functional import MASK_SCHEDULES


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
    tokenizer = tiny_tokenizer(output="codes").fit(X)
    expected = tiny_sampler(tokenizer).fit(X, y).sample(5)
    frozen = tiny_sampler(FrozenEstimator(tokenizer)).fit(X, y)
    np.testing.assert_array_equal(frozen.tokenizer_.codebook_, tokenizer.codebook_)
    np.testing.assert_array_equal(frozen.sample(5), expected)
    codes = tokenizer.transform(X)
    assert codes.max() == tokenizer.n_codes - 1  # else the codebooks' sizes differ
    by_hand = tiny_sampler().fit(codes, y)
    restored = tokenizer.inverse_transform(by_hand.sample(5))
    np.testing.assert_array_equal(restored, expected)


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
        STFTTransformer(device="cpu"), tiny_tokenizer(output="codes"), tiny_sampler()
    ).fit(X, y)
    codes = generator[-1].sample(7)
    assert codes.dtype == np.int64
    assert generator[:-1].inverse_transform(codes).shape == (7, 50)


def test_samples_repeat_and_differ(fitted):
    same = [fitted.sample(4, random_state=1) for _ in range(2)]
    np.testing.assert_array_equal(*same)
    assert (fitted.sample(4, random_state=2) != same[0]).any()
    np.testing.assert_array_equal(fitted.sample(4), fitted.sample(4))


def test_decoding_path_ends_in_the_sample(fitted):
    codes, masks = fitted.decoding_path(66, random_state=1)
    n_steps, n_tokens = fitted.n_steps, fitted.n_tokens_
    assert codes.shape == masks.shape == (n_steps, 66, n_tokens)
    assert (codes.dtype, masks.dtype) == (np.int64, bool)
    expected = fitted.sample_codes(66, random_state=1)
    np.testing.assert_array_equal(codes[-1], expected)


def test_decoding_path_settles_tokens_for_good(fitted):
    codes, masks = fitted.decoding_path(5, y="fast", random_state=0)
    n_masked = masks.sum(axis=2)
    assert (np.diff(n_masked, axis=0) < 0).all()
    assert (n_masked[-1] == 0).all()
    for step in range(fitted.n_steps - 1):
        settled = ~masks[step]
        assert not masks[step + 1][settled].any()
        np.testing.assert_array_equal(codes[step + 1][settled], codes[step][settled])


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
    codes = np.random.default_rng(0).integers(0, 8, size=(20, 6))
    unseen = codes + 1
    with pytest.raises(ValueError, match=r"must lie in \[0, 8\)"):
        tiny_sampler().fit(codes).score(unseen)
    sampler = tiny_sampler(n_codes=16).fit(codes)
    assert sampler.n_codes_ == 16
    assert np.isfinite(sampler.score(unseen))
    with pytest.raises(ValueError, match=r"must lie in \[0, 4\)"):
        tiny_sampler(n_codes=4).fit(codes)


@pytest.mark.parametrize("schedule", MASK_SCHEDULES)
@pytest.mark.parametrize("n_steps", [1, 3, 50])
def test_schedules_and_steps(schedule, n_steps):
    codes = np.random.default_rng(0).integers(0, 8, size=(20, 6))
    sampler = tiny_sampler(schedule=schedule, n_steps=n_steps).fit(codes)
    samples = sampler.sample(9)
    assert samples.shape == (9, 6)
    assert samples.min() >= 0
    assert samples.max() <= codes.max()


def trained_on_two_words(**params):
    """Class 0 always says 0 1 2 3 ..., class 1 the reverse."""
    words = np.array([np.arange(6), np.arange(6)[::-1]])
    y = np.arange(60) % 2
    small = {"hidden_dim": 32, "max_epochs": 60, "lr": 3e-3, "dropout": 0.0}
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
    expected = fitted.sample(8, y="fast", random_state=0)
    np.testing.assert_allclose(fast, expected, atol=1e-6)
    with pytest.raises(ValueError, match="previously unseen labels"):
        fitted.impute(X, y="other")


def test_candidates_are_chosen_by_the_channel_that_is_known():
    X, _ = waves(n_samples=200, n_channels=1)
    X = np.repeat(X, 2, axis=1)  # the second channel is told by the first
    sampler = tiny_sampler(
        tiny_tokenizer(n_codes=16, max_epochs=30, lr=1e-2, ssl=None),
        max_epochs=30,
        lr=1e-2,
    ).fit(X)
    hidden = X[:50].copy()
    hidden[:, 1] = np.nan
    errors = [
        np.square(sampler.impute(hidden, n_candidates=n) - X[:50]).mean()
        for n in (1, 16)
    ]
    assert errors[1] < 0.7 * errors[0]


def test_whole_series_do_not_change_what_others_are_filled_with(fitted):
    X, _ = waves(dtype=np.float32)
    X[::4, 20:30] = np.nan
    alone = fitted.impute(X[::4], random_state=0)
    np.testing.assert_array_equal(fitted.impute(X, random_state=0)[::4], alone)


def test_imputed_stretches_meet_what_is_known():
    X, _ = waves(n_samples=60)
    sampler = tiny_sampler(tiny_tokenizer()).fit(X)
    mask = np.zeros(X.shape, dtype=bool)
    mask[:, 20:35] = True
    filled = sampler.impute(X, mask, random_state=0)
    decoded = sampler.tokenizer_.reconstruct(X)
    for known, first in ((19, 20), (35, 34)):
        step = np.abs(filled[:, first] - filled[:, known]).mean()
        assert step < np.abs(decoded[:, first] - X[:, known]).mean() / 2


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
