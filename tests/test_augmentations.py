"""What every augmentation keeps, and what each of them does."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tensors import generator, normal, seeds
from torch.testing import assert_close

from sktsrep import augmentations
from sktsrep.augmentations import (
    PRESETS,
    amplitude_resize,
    augment,
    band_mask,
    block_mask,
    crop_and_resize,
    flip,
    gaussian_noise,
    magnitude_warp,
    phase_rotation,
    resolve_augmentations,
    slice_and_shuffle,
    slope,
    spectral_scale,
    time_mask,
    time_shift,
    window_warp,
)

AUGMENTATIONS = [
    getattr(augmentations, name)
    for name in augmentations.__all__
    if name not in {"PRESETS", "Augmentation", "augment", "resolve_augmentations"}
]
every_augmentation = pytest.mark.parametrize(
    "function", AUGMENTATIONS, ids=lambda function: function.__name__
)
both_precisions = pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
lengths = st.integers(1, 40)


def ramp(n_timepoints, batch=50):
    return torch.linspace(0, 1, n_timepoints, dtype=torch.float64).expand(batch, 1, -1)


# ---------------------------------------------------------------- what all of them keep


@every_augmentation
@both_precisions
def test_every_length_is_kept(function, dtype):
    for n_timepoints in range(1, 41):
        x = normal(2, 3, n_timepoints, dtype=dtype)
        changed = function(x, generator=generator())
        assert (changed.shape, changed.dtype) == (x.shape, dtype)
        assert changed.device == x.device
        assert changed.isfinite().all()


@every_augmentation
@given(batch=st.integers(1, 4), channels=st.integers(1, 3), length=lengths, seed=seeds)
def test_seed_decides_and_input_stays(function, batch, channels, length, seed):
    x = normal(batch, channels, length, seed=seed)
    kept, state = x.clone(), torch.get_rng_state()
    first, second = (function(x, generator=generator(seed)) for _ in range(2))
    assert torch.equal(first, second)
    assert torch.equal(x, kept)
    assert torch.equal(torch.get_rng_state(), state)


@every_augmentation
def test_result_shares_no_memory_with_the_input(function):
    for x in (normal(2, 1, 1), normal(2, 1, 20)):
        kept = x.clone()
        function(x, generator=generator()).zero_()
        assert torch.equal(x, kept)


@every_augmentation
def test_rows_and_seeds_draw_different_numbers(function):
    x = normal(1, 2, 30).repeat(16, 1, 1)
    changed = function(x, generator=generator(0))
    assert not torch.equal(changed[:1].expand_as(changed), changed)
    assert not torch.equal(function(x, generator=generator(1)), changed)


@every_augmentation
def test_without_a_generator_the_global_state_decides(function):
    x = normal(16, 1, 30)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        first, second = function(x), function(x)
        torch.manual_seed(0)
        assert torch.equal(function(x), first)
    assert not torch.equal(first, second)


@every_augmentation
def test_gradient_passes_through(function):
    x = normal(2, 1, 30).requires_grad_()
    function(x, generator=generator()).square().sum().backward()
    assert x.grad.isfinite().all()
    assert x.grad.abs().sum() > 0


@pytest.mark.parametrize(
    ("function", "strength"),
    [
        (amplitude_resize, dict(scale=0.0)),
        (band_mask, dict(width=0.0)),
        (block_mask, dict(time_width=0.0)),
        (block_mask, dict(band_width=0.0)),
        (crop_and_resize, dict(low=1.0)),
        (flip, dict(probability=0.0)),
        (gaussian_noise, dict(scale=0.0)),
        (magnitude_warp, dict(scale=0.0)),
        (phase_rotation, dict(max_angle=0.0)),
        (slice_and_shuffle, dict(n_slices=1)),
        (slope, dict(scale=0.0)),
        (spectral_scale, dict(scale=0.0)),
        (time_mask, dict(width=0.0)),
        (time_shift, dict(width=0.0)),
        (window_warp, dict(factors=(1.0, 1.0))),
        (window_warp, dict(window=0.0)),
    ],
)
@given(length=lengths, seed=seeds)
def test_zero_strength_is_the_identity(function, strength, length, seed):
    x = normal(3, 2, length, seed=seed)
    assert_close(function(x, **strength, generator=generator(seed)), x)


@pytest.mark.parametrize(
    ("function", "strength", "expected"),
    [
        (band_mask, dict(width=1.0), 0),
        (block_mask, dict(time_width=1.0, band_width=1.0), 0),
        (time_mask, dict(width=1.0), 0),
        (flip, dict(probability=1.0), -1),
        (crop_and_resize, dict(low=0.5), 1),
        (time_shift, dict(width=1.0), 1),
        (window_warp, dict(), 1),
    ],
)
@given(length=lengths)
def test_full_strength_of_a_constant_series(function, strength, expected, length):
    x = torch.ones(3, 2, length, dtype=torch.float64)
    assert_close(function(x, **strength, generator=generator()), expected * x)


# --------------------------------------------------------------- what each of them does


def test_gaussian_noise_has_its_scale():
    noise = gaussian_noise(torch.zeros(50, 2, 100), 0.3, generator=generator())
    assert_close(noise.std(), torch.tensor(0.3), rtol=0.03, atol=0)
    assert noise.mean().abs() < 0.01


@pytest.mark.parametrize("function", [amplitude_resize, magnitude_warp, slope])
def test_channels_draw_their_own_numbers(function):
    first, second = function(torch.ones(1, 2, 30), generator=generator())[0]
    assert not torch.equal(first, second)


def test_amplitude_resize_is_one_factor_per_channel():
    x = normal(500, 2, 7)
    factor = amplitude_resize(x, 0.2, generator=generator()) / x
    assert_close(factor, factor[..., :1].expand_as(factor))
    assert abs(factor[..., 0].mean() - 1) < 0.02
    assert abs(factor[..., 0].std() - 0.2) < 0.02


def test_magnitude_warp_is_linear_between_its_knots():
    curve = magnitude_warp(torch.ones(5, 1, 31), n_knots=4, generator=generator())
    bends = curve.diff(n=2).abs() > 1e-5
    assert bends.sum(dim=-1).max() == 2  # the two inner knots


@given(length=st.integers(2, 40), seed=seeds)
def test_window_warp_keeps_order_and_ends(length, seed):
    x = ramp(length)
    warped = window_warp(x, generator=generator(seed))
    assert (warped.diff() > 0).all()
    assert_close(warped[..., [0, -1]], x[..., [0, -1]])


@pytest.mark.parametrize("factor", [0.5, 2.0])
def test_window_warp_changes_the_speed_of_a_window(factor):
    warped = window_warp(ramp(1001), 0.3, (factor, factor), generator=generator())
    total = 1 + 0.3 * (factor - 1)
    speed = warped.diff() * 1000 / total  # 1 outside the window
    inside = (speed - 1 / factor).abs() < 1e-6
    outside = (speed - 1).abs() < 1e-6
    share = inside.double().mean(dim=-1)
    assert ((inside | outside).sum(dim=-1) >= 998).all()  # all but the two borders
    assert_close(share, torch.full_like(share, 0.3 * factor / total), rtol=0, atol=0.01)


@given(length=lengths, n_slices=st.integers(1, 6), seed=seeds)
def test_slice_and_shuffle_moves_whole_pieces(length, n_slices, seed):
    time = torch.arange(length).expand(5, 2, length)
    shuffled = slice_and_shuffle(time, n_slices, generator=generator(seed))
    assert torch.equal(shuffled.sort().values, time)
    assert torch.equal(shuffled[:, 0], shuffled[:, 1])  # channels stay together
    assert ((shuffled.diff() != 1).sum(dim=-1) < n_slices).all()


@given(length=st.integers(2, 40), low=st.floats(0.1, 1), seed=seeds)
def test_crop_and_resize_cuts_a_window(length, low, seed):
    steps = crop_and_resize(ramp(length), low, generator=generator(seed)).diff()
    width = steps.sum(dim=-1)
    assert_close(steps, (width / (length - 1)).unsqueeze(-1).expand_as(steps))
    assert ((width > low - 1e-9) & (width < 1 + 1e-9)).all()


@given(length=lengths, width=st.floats(0, 1), seed=seeds)
def test_time_shift_moves_and_mirrors(length, width, seed):
    time = torch.arange(length, dtype=torch.float64).expand(5, 2, length)
    shifted = time_shift(time, width, generator=generator(seed))
    assert torch.equal(shifted[:, 0], shifted[:, 1])  # channels stay together
    assert (shifted.diff().abs() == 1).all()  # no value is skipped or repeated
    turns = (shifted[:, 0].diff(n=2) != 0).sum(dim=-1)
    assert (turns <= 1).all()
    moved = (shifted - time)[:, 0].abs().amin(dim=-1)
    assert (moved <= round(width * (length - 1))).all()


def test_time_shift_draws_every_offset():
    starts = time_shift(torch.arange(5.0).expand(400, 1, 5), generator=generator())
    assert set(starts[:, 0, 2].int().tolist()) == {0, 1, 2, 3, 4}


def test_flip_turns_the_expected_share_of_rows():
    turned = flip(torch.ones(2000, 2, 3), 0.3, generator=generator())
    assert torch.equal(turned, turned[:, :1, :1].expand_as(turned))
    assert abs((turned[:, 0, 0] < 0).double().mean() - 0.3) < 0.03


def test_slope_is_linear_and_zero_in_the_middle():
    trend = slope(torch.zeros(2000, 1, 9), 0.5, generator=generator())
    assert_close(trend.diff(n=2), torch.zeros(2000, 1, 7))
    assert (trend[..., 4] == 0).all()
    assert abs(trend[..., -1].std() - 0.5) < 0.03


@given(length=lengths, width=st.floats(0, 1), seed=seeds)
def test_time_mask_hides_one_window(length, width, seed):
    hidden = time_mask(torch.ones(5, 2, length), width, generator=generator(seed)) == 0
    borders = hidden.double().diff().abs().sum(dim=-1)
    assert (hidden.sum(dim=-1) == round(width * length)).all()
    assert (borders <= 2).all()


def test_time_mask_hides_every_place_equally_often():
    hidden = time_mask(torch.ones(4000, 1, 5), 0.2, generator=generator()) == 0
    share = torch.full((1, 5), 0.2, dtype=torch.float64)
    assert_close(hidden.double().mean(dim=0), share, rtol=0, atol=0.03)


def test_band_mask_removes_a_tone_and_leaves_another():
    """Away from the ends, a mask removes a tone inside the band and no other tone."""
    time = torch.arange(256, dtype=torch.float64)
    tone = torch.cos(2 * torch.pi * 4 / 16 * time).expand(200, 1, 256)
    masked = band_mask(tone, 3 / 9, generator=generator())[..., 16:-16]
    power = masked.square().mean(dim=-1) / tone[..., 16:-16].square().mean(dim=-1)
    assert (power < 1e-9).any()
    assert ((power - 1).abs() < 1e-9).any()


def test_block_mask_leaves_the_rest_of_the_series():
    x = normal(50, 1, 200)
    masked = block_mask(x, 0.2, 1.0, generator=generator())
    assert ((masked == 0).sum(dim=-1) > 20).all()
    assert (((masked - x).abs() < 1e-9).sum(dim=-1) > 100).all()


def test_phase_rotation_keeps_the_power_of_a_tone():
    time = torch.arange(512, dtype=torch.float64)
    tone = torch.cos(2 * torch.pi * 4 / 16 * time).expand(20, 1, 512)
    turned = phase_rotation(tone, 0.1, generator=generator())[..., 16:-16]
    assert_close(turned.square().mean(), tone.square().mean(), rtol=0.02, atol=0)
    assert (turned - tone[..., 16:-16]).abs().amax(dim=-1).max() > 0.01


def test_spectral_scale_is_one_factor_per_bin():
    """A constant series occupies the lowest bins only, so their factors scale it."""
    x = torch.ones(50, 1, 64, dtype=torch.float64)
    scaled = spectral_scale(x, 0.2, generator=generator())
    assert scaled.mean(dim=-1).std() > 0.05
    assert_close(spectral_scale(-3 * x, 0.2, generator=generator()), -3 * scaled)


# -------------------------------------------------------------------------- composition


@pytest.mark.parametrize(
    ("augmentations", "expected"),
    [
        ("warp", [window_warp, amplitude_resize]),
        (flip, [flip]),
        (["gauss", flip], [gaussian_noise, flip]),
        (("crop", ["slice", (flip,)]), [crop_and_resize, slice_and_shuffle, flip]),
        ([], []),
    ],
)
def test_resolve_augmentations(augmentations, expected):
    assert resolve_augmentations(augmentations) == expected


def test_shift_preset_adds_faint_noise():
    shifted = augment(torch.zeros(50, 2, 100), resolve_augmentations("shift"))
    assert shifted.std().item() == pytest.approx(0.02, rel=0.05)


@pytest.mark.parametrize("name", PRESETS)
def test_resolve_augmentations_hands_out_no_shared_list(name):
    assert resolve_augmentations(name) == PRESETS[name]
    assert resolve_augmentations(name) is not PRESETS[name]


@pytest.mark.parametrize(
    ("augmentations", "error", "match"),
    [
        ("gaus", ValueError, "'gauss'.*got 'gaus'"),
        (["gauss", "wrap"], ValueError, "got 'wrap'"),
        (3, TypeError, "got 3"),
        ([None], TypeError, "got None"),
    ],
)
def test_resolve_augmentations_says_what_is_wrong(augmentations, error, match):
    with pytest.raises(error, match=match):
        resolve_augmentations(augmentations)


@given(length=lengths, channels=st.integers(1, 3))
def test_augment_applies_all_in_turn(length, channels):
    x = normal(2, channels, length)
    assert torch.equal(augment(x, [torch.neg, torch.exp]), (-x).exp())
    assert augment(x, AUGMENTATIONS).shape == x.shape
    assert augment(x, []) is x


@pytest.mark.parametrize("index", [(..., slice(1, None)), (0,), (slice(1),)])
def test_augment_rejects_a_change_of_shape(index):
    with pytest.raises(ValueError, match=r"keep the shape \(2, 3, 8\)"):
        augment(normal(2, 3, 8), [flip, lambda x: x[index]])


def as_array(x):
    return x.numpy()


def as_double(x):
    return x.double()


def elsewhere(x):
    return x.to("meta")


@pytest.mark.parametrize(
    ("function", "error", "match"),
    [
        (as_array, TypeError, "as_array must give a tensor, got ndarray"),
        (lambda x: None, TypeError, "<lambda> must give a tensor, got NoneType"),
        (as_double, ValueError, r"as_double must keep the dtype torch\.float32"),
        (elsewhere, ValueError, "elsewhere must keep the device cpu, got meta"),
        ("gauss", TypeError, "must be a list of callables, got 'gauss'"),
    ],
)
def test_augment_names_the_function_that_changes_what_must_stay(function, error, match):
    with pytest.raises(error, match=match):
        augment(normal(2, 3, 8, dtype=torch.float32), [flip, function])


def test_augment_computes_in_the_precision_of_the_series():
    x = normal(2, 3, 3, dtype=torch.float32)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        changed = augment(x, [lambda x: x @ x])
    assert torch.equal(changed, x @ x)


@pytest.mark.parametrize(
    ("function", "strength", "match"),
    [
        (amplitude_resize, dict(scale=-0.1), "scale must be"),
        (band_mask, dict(width=1.1), "width must be"),
        (block_mask, dict(time_width=-0.1), "time_width must be"),
        (block_mask, dict(band_width=2), "band_width must be"),
        (crop_and_resize, dict(low=1.5), "low must be"),
        (flip, dict(probability=1.01), "probability must be"),
        (gaussian_noise, dict(scale=float("nan")), "scale must be"),
        (magnitude_warp, dict(n_knots=1), "n_knots must be"),
        (phase_rotation, dict(max_angle=-1), "max_angle must be"),
        (slice_and_shuffle, dict(n_slices=0), "n_slices must be"),
        (slope, dict(scale=float("inf")), "scale must be"),
        (spectral_scale, dict(scale=-1), "scale must be"),
        (time_mask, dict(width=-0.01), "width must be"),
        (time_shift, dict(width=1.01), "width must be"),
        (window_warp, dict(window=-0.1), "window must be"),
        (window_warp, dict(factors=(2.0, 0.5)), r"factors\[1\] must be"),
        (window_warp, dict(factors=(0.0, 1.0)), r"factors\[0\] must be"),
        (window_warp, dict(factors=(1.0,)), "factors must be two numbers"),
    ],
)
def test_strengths_out_of_range(function, strength, match):
    with pytest.raises(ValueError, match=match):
        function(normal(2, 1, 9), **strength)


@every_augmentation
@pytest.mark.parametrize("shape", [(9,), (1, 9), (1, 1, 1, 9), (0, 1, 9), (2, 1, 0)])
def test_series_need_three_axes(function, shape):
    with pytest.raises(ValueError, match=r"x must have the shape \(batch, channels"):
        function(torch.zeros(shape))
