"""VAE: the bound against exact likelihoods, sampling, learning."""

import numpy as np
import pytest
import torch
from estimators import tiny_vae, waves
from scipy.stats import multivariate_normal
from sklearn.metrics import roc_auc_score

from sktsrep import STFTTransformer
from sktsrep.functional import gaussian_kl, gaussian_nll


def test_bound_is_tight_at_the_exact_posterior_of_a_linear_gaussian_model():
    # x = W z + noise: posterior and evidence have closed forms. Orthogonal columns make
    # the posterior covariance diagonal, as the model's is.
    rng, noise = np.random.default_rng(0), 0.3
    W = np.linalg.qr(rng.normal(size=(5, 2)))[0] * [1.0, 2.0]
    evidence = multivariate_normal(cov=W @ W.T + noise**2 * np.eye(5))
    covariance = np.linalg.inv(np.eye(2) + W.T @ W / noise**2)
    x = evidence.rvs(3, random_state=rng)
    mean = x @ W @ covariance / noise**2
    log_variance = np.log(np.diag(covariance))
    draws = rng.normal(size=(20_000, 3, 2)) * np.sqrt(np.diag(covariance)) + mean
    nll = gaussian_nll(
        torch.tensor(np.tile(x, (20_000, 1))),
        torch.tensor((draws @ W.T).reshape(-1, 5)),
        torch.tensor(2 * np.log(noise)),
    )
    divergence = gaussian_kl(
        torch.tensor(mean), torch.tensor(log_variance).expand(3, 2)
    )
    bound = -nll.reshape(20_000, 3).mean(dim=0) - divergence
    np.testing.assert_allclose(bound.numpy(), evidence.logpdf(x), atol=0.05)


def test_bound_lies_below_the_importance_weighted_likelihood():
    X, _ = waves()
    vae = tiny_vae(max_epochs=20).fit(X)
    module = vae.net_.module_.eval()
    x = vae._prepare(torch.tensor(X))
    with torch.no_grad(), torch.random.fork_rng():
        mean, log_variance = module.encode(x)
        q = torch.distributions.Normal(mean, (0.5 * log_variance).exp())
        weights = []
        for _ in range(200):
            z = q.sample()
            prior = torch.distributions.Normal(0.0, 1.0).log_prob(z).sum(dim=1)
            decoded = module.decode(z)[..., : X.shape[-1]]
            nll = gaussian_nll(x[..., : X.shape[-1]], decoded, module.log_variance)
            weights.append(prior - nll - q.log_prob(z).sum(dim=1))
        likelihood = torch.logsumexp(torch.stack(weights), dim=0) - np.log(200)
    jacobian = X.shape[-1] * np.log(vae.scale_.item())
    bound = vae.score_samples(X, n_draws=200)
    assert (bound <= likelihood.numpy() - jacobian + 0.5).all()
    np.testing.assert_allclose(bound, likelihood.numpy() - jacobian, atol=5)


def test_bound_is_a_density_in_the_units_of_the_data():
    X, _ = waves(n_timepoints=48)
    scaled = tiny_vae().fit(8 * X).score_samples(8 * X)
    expected = tiny_vae().fit(X).score_samples(X) - 48 * np.log(8)
    np.testing.assert_allclose(scaled, expected, rtol=1e-5)


@pytest.mark.parametrize("n_channels", [None, 3])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_shapes_and_dtypes(n_channels, dtype):
    X, _ = waves(n_channels=n_channels, dtype=dtype, n_timepoints=47)
    vae = tiny_vae().fit(X)
    latent = vae.transform(X)
    assert latent.dtype == dtype
    for series in (vae.inverse_transform(latent), vae.sample(len(X))):
        assert (series.shape, series.dtype) == (X.shape, dtype)


def test_reconstruction_is_the_inverse_of_the_transform():
    X, _ = waves()
    vae = tiny_vae().fit(X)
    expected = vae.inverse_transform(vae.transform(X))
    np.testing.assert_allclose(vae.reconstruct(X), expected, atol=1e-5)


def with_gaps(n_channels):
    X, _ = waves(n_channels=n_channels)
    rng = np.random.default_rng(0)
    X[rng.uniform(size=X.shape) < 0.2] = np.nan
    X[::3, ..., 30:] = np.nan
    return X


@pytest.mark.parametrize("n_channels", [None, 2])
def test_the_bound_is_that_of_the_known_values(n_channels):
    X = with_gaps(n_channels)
    vae = tiny_vae().fit(X)
    module, known = vae.net_.module_.eval(), ~np.isnan(X).reshape(40, -1, 50)
    x = vae._prepare(torch.tensor(vae._bridged(X)))
    noise = torch.randn(3, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        mean, log_variance = module.encode(x)
        decoded = module.decode(mean + (0.5 * log_variance).exp() * noise)[..., :50]
        divergence = gaussian_kl(mean, log_variance).double().numpy()
        variance = module.log_variance.double().exp().item()
        terms = module.bound_terms(x, noise, torch.tensor(known))
    squared = (decoded - x[..., :50]).double().square().numpy()
    nll = 0.5 * (squared / variance + np.log(2 * np.pi * variance))
    bound = -(nll * known).sum(axis=(1, 2)) - divergence
    np.testing.assert_allclose(-sum(terms).numpy(), bound, rtol=1e-4)
    bound -= (known.sum(axis=2) * np.log(vae.scale_[:, 0])).sum(axis=1)
    scores = vae.score_samples(X, n_draws=400)
    np.testing.assert_allclose(scores, bound, atol=30)
    assert np.corrcoef(scores, bound)[0, 1] > 0.9


def test_the_variance_is_that_of_the_known_values():
    X = with_gaps(None)
    vae = tiny_vae(max_epochs=5).fit(X)
    log_variance = vae.net_.module_.log_variance.data
    best = vae.score(X)
    for change in (-0.3, 0.6):  # below, and then above
        log_variance += change
        assert vae.score(X) < best


def test_errors_of_timepoints_are_those_of_the_known_channels():
    X = with_gaps(2)
    vae = tiny_vae().fit(X)
    gap = (vae._restore(vae._prepare(torch.tensor(vae._bridged(X)))) - X)[..., :50]
    assert np.nanmax(np.abs(gap)) < 1e-5
    decoded = vae.inverse_transform(vae.transform(X))
    known = ~np.isnan(X)
    squared = np.where(known, np.square((decoded - X) / vae.scale_), 0).sum(axis=1)
    with np.errstate(invalid="ignore"):
        expected = -squared / known.sum(axis=1)
    np.testing.assert_allclose(vae.score_timepoints(X), expected, rtol=1e-3, atol=1e-5)


def test_an_extreme_value_before_the_end_counts_once():
    X = with_gaps(None)
    vae = tiny_vae().fit(X)
    series = [x[:20] for x in np.nan_to_num(X[:3])]
    series[1][-1] = 1e6
    full = np.stack([np.append(x, np.zeros(30)) for x in series])
    missed = vae._clipped_away(vae._check(series))
    np.testing.assert_allclose(missed, vae._clipped_away(full))
    assert vae.score_samples(series).argmin() == 1


def test_samples_repeat_and_differ():
    vae = tiny_vae().fit(waves()[0])
    np.testing.assert_array_equal(vae.sample(3), vae.sample(3))
    assert (vae.sample(3, random_state=1) != vae.sample(3, random_state=2)).any()


def test_spectrograms_give_the_same_model():
    X, _ = waves(n_timepoints=48)
    stft = STFTTransformer(device="cpu")
    spectrogram = stft.fit_transform(X)
    np.testing.assert_array_equal(
        tiny_vae().fit_transform(X), tiny_vae().fit_transform(spectrogram)
    )


def test_history_has_both_parts_of_the_bound():
    history = tiny_vae(beta=2.0).fit(waves()[0]).history_
    parts = history["reconstruction_loss"] + history["divergence_loss"]
    np.testing.assert_allclose(parts, history["train_loss"], rtol=1e-5)
    assert (history["divergence_loss"] >= 0).all()


def test_inverse_of_another_dimension():
    vae = tiny_vae().fit(waves()[0])
    with pytest.raises(ValueError, match="latent_dim=3"):
        vae.inverse_transform(np.ones((2, 4)))


def test_parameters_of_the_next_fit_do_not_touch_the_last():
    X, _ = waves()
    vae = tiny_vae().fit(X)
    vae.set_params(latent_dim=5)
    assert vae.sample(2).shape == (2, 50)
    assert len(vae.get_feature_names_out()) == vae.transform(X).shape[1]
    assert np.isfinite(vae.score_samples(X)).all()


def test_the_variance_is_the_best_for_the_bound():
    X, _ = waves()
    vae = tiny_vae(max_epochs=20).fit(X)
    log_variance = vae.net_.module_.log_variance.data
    best = vae.score(X)
    for change in (-0.3, 0.6):  # below, and then above
        log_variance += change
        assert vae.score(X) < best


def test_number_of_draws():
    X, _ = waves()
    with pytest.raises(ValueError, match="n_draws must be an int of at least 1"):
        tiny_vae().fit(X).score_samples(X, n_draws=0)


def test_learns_the_data_and_finds_outliers():
    X, _ = waves(n_samples=120)
    vae = tiny_vae(hidden_dim=16, max_epochs=40, lr=1e-2).fit(X[:80])
    loss = vae.history_["train_loss"]
    assert loss.iloc[-1] < loss.iloc[0] - 10  # nats per series
    noise = np.random.default_rng(1).normal(size=(40, X.shape[1]))
    scores = vae.score_samples(np.concatenate([X[80:], noise]))
    assert roc_auc_score(np.repeat([1, 0], 40), scores) > 0.95
