"""Speed of sktsrep compared with TimeVQVAE, and overhead of its training engine.

Both libraries run in one process, on the same synthetic series, in turns (ours, the
peer's, ours, ...), because timings taken on different occasions cannot be compared.
The tables give medians over the turns. A ratio is taken within each turn; above 1,
sktsrep is faster.

Both run with their defaults: those of `SSLVQTokenizer` and `MaskGITSampler`, and those
of TimeVQVAE's constructor and README. The models therefore differ in size, and their
quality is not compared here. Nothing is trained beyond a few steps, because the time of
a step or a sample does not depend on the weights.

Run `python examples/benchmarks/speed.py --help` for the options. With the default
repeats it takes about a quarter of an hour on two cores.
"""

import argparse
import os
import platform
import time
from pathlib import Path

import numpy as np
import torch
from sklearn.frozen import FrozenEstimator
from skorch.callbacks import Callback
from torch.nn.utils import clip_grad_norm_
from torch.optim.lr_scheduler import CosineAnnealingLR

import sktsrep
from sktsrep import MaskGITSampler, SSLVQTokenizer

try:
    import timevqvae
    from timevqvae.maskgit import MaskGIT, PriorModelConfig
    from timevqvae.vqvae import VQVAE
except ImportError:
    timevqvae = None

N_SERIES = 1024
N_CLASSES = 2
STEPS_PER_TURN = 5
GRADIENT_CLIP = 1.0  # as in fit
MEASURES = ["stage1", "encode", "stage2", "sample", "overhead"]


# ------------------------------------------------------------------------ our side


class TrainingSeries(Callback):
    """Keep what ``fit`` trains on: standardized series of whole hops, on the device."""

    def on_train_begin(self, net, X=None, **kwargs):
        """Called by skorch with the data set."""
        (self.series,) = X.tensors


def fitted_tokenizer(X, ssl, device, callbacks=None):
    """Fit a tokenizer in one pass over part of the data."""
    tokenizer = SSLVQTokenizer(
        ssl, max_epochs=1, device=device, random_state=0, callbacks=callbacks
    )
    return tokenizer.fit(X[:256])


def fitted_sampler(X, y, device):
    """Fit a sampler with 10 decoding steps, over a frozen tokenizer."""
    tokenizer = FrozenEstimator(fitted_tokenizer(X, None, device))
    sampler = MaskGITSampler(
        tokenizer, n_steps=10, max_epochs=1, device=device, random_state=0
    )
    return sampler.fit(X[:256], y[:256])


def bare_step(estimator):
    """Make one optimizer step on an estimator's module, as a plain function.

    It does what a step of ``fit`` does: forward, loss, backward, gradient clipping,
    fused AdamW, the schedule of the learning rate and the module's own updates.
    """
    module = estimator.net_.module_.train()
    parameters = [p for p in module.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(
        parameters, lr=estimator.lr, weight_decay=estimator.weight_decay, fused=True
    )
    schedule = CosineAnnealingLR(optimizer, T_max=1000)

    def step(*batch):
        optimizer.zero_grad()
        terms = module(*batch)
        loss = sum(term for name, term in terms.items() if name.endswith("_loss"))
        loss.backward()
        clip_grad_norm_(parameters, GRADIENT_CLIP)
        optimizer.step()
        schedule.step()
        module.after_step(0.5)
        return loss.detach()

    return step


class BareEpochs(TrainingSeries):
    """Repeat every epoch of a fit as a bare loop, and time it."""

    def __init__(self, step, batch_size):
        self.step = step
        self.batch_size = batch_size
        self.seconds = []

    def on_epoch_end(self, net, **kwargs):
        """Called by skorch, after its own clock of the epoch has stopped."""
        self.seconds.append(seconds(self.epoch, self.series.device))

    def epoch(self):
        """Make one pass over the data in random order."""
        order = torch.randperm(len(self.series), device=self.series.device)
        losses = [self.step(self.series[rows]) for rows in order.split(self.batch_size)]
        return torch.stack(losses).mean().item()


# ---------------------------------------------------------------------- peer's side


def peer_tokenizer(x):
    """Make TimeVQVAE's first stage as in its README, with codebooks from k-means."""
    vqvae = VQVAE(in_channels=1, input_length=x.shape[-1]).to(x.device)
    with torch.no_grad():
        vqvae.train()(x[:128])
    return vqvae


def peer_sampler(x):
    """Make TimeVQVAE's second stage as in its README."""
    shared = dict(ff_mult=1, use_rmsnorm=True, p_unconditional=0.2)
    low = PriorModelConfig(hidden_dim=128, n_layers=4, heads=2, **shared)
    high = PriorModelConfig(hidden_dim=32, n_layers=1, heads=1, **shared)
    return MaskGIT(
        vqvae=peer_tokenizer(x),
        lf_choice_temperature=10.0,
        hf_choice_temperature=0.0,
        lf_num_sampling_steps=10,
        hf_num_sampling_steps=10,
        lf_codebook_size=1024,
        hf_codebook_size=1024,
        transformer_embedding_dim=128,
        lf_prior_model_config=low,
        hf_prior_model_config=high,
        classifier_free_guidance_scale=1.0,
        n_classes=N_CLASSES,
    ).to(x.device)


def peer_step(module, loss, lr):
    """Make one optimizer step of the peer, which has no training loop of its own."""
    parameters = [p for p in module.train().parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(parameters, lr=lr)

    def step(*batch):
        optimizer.zero_grad()
        loss(module(*batch)).backward()
        optimizer.step()

    return step


def peer_tokenizer_loss(output):
    """Sum the losses that the peer's first stage returns."""
    codebook = sum(losses["loss"] for losses in output.vq_losses.values())
    return sum(output.recons_loss.values()) + codebook


@torch.no_grad()
def peer_encode(maskgit, x):
    """Encode series into the tokens of both bands."""
    maskgit.eval()
    low = maskgit.encoder_l, maskgit.vq_model_l
    high = maskgit.encoder_h, maskgit.vq_model_h
    return [
        [maskgit.encode_to_z_q(chunk, *band)[1] for band in (low, high)]
        for chunk in x.split(256)
    ]


@torch.no_grad()
def peer_sample(maskgit, n_samples, label, device):
    """Draw new series of one class."""
    maskgit.eval()
    for _ in range(n_samples // 256):
        low, high = maskgit.iterative_decoding(
            num_samples=256, mode="cosine", class_condition=label, device=device
        )
        maskgit.decode_token_ind_to_timeseries(low, frequency="lf")
        maskgit.decode_token_ind_to_timeseries(high, frequency="hf")


# ------------------------------------------------------------------------ measuring


def make_series(n_timepoints):
    """Draw noisy sums of three waves, standardize each series, and draw labels."""
    rng = np.random.default_rng(0)
    time_axis = np.linspace(0, 1, n_timepoints)
    cycles, phase = rng.uniform([[[2]], [[0]]], [[[20]], [[7]]], (2, N_SERIES, 3))
    angle = 2 * np.pi * cycles[..., None] * time_axis + phase[..., None]
    X = np.sin(angle).sum(axis=1) + 0.3 * rng.standard_normal((N_SERIES, n_timepoints))
    X = (X - X.mean(axis=1, keepdims=True)) / X.std(axis=1, keepdims=True)
    return X.astype(np.float32), rng.integers(N_CLASSES, size=N_SERIES)


def seconds(function, device):
    """Time a call, waiting for the device before and after."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    start = time.perf_counter()
    function()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter() - start


def in_turns(functions, repeats, device):
    """Time every function in every turn, after one turn that is not counted."""
    turns = [[seconds(f, device) for f in functions] for _ in range(1 + repeats)]
    return np.array(turns[1:])  # (repeats, functions)


def several(step, *batch):
    """Make a turn of several optimizer steps."""

    def turn():
        for _ in range(STEPS_PER_TURN):
            step(*batch)

    return turn


def comparisons(names, turns, work):
    """Make table cells of our columns of ``turns`` and the last one, the peer's.

    The table shows ``work`` per second, where ``work`` is how much a turn does. None
    shows the seconds themselves.
    """

    def shown(duration):
        value = np.median(work / duration if work else duration)
        return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"

    for name, ours in zip(names, turns.T, strict=False):
        if turns.shape[1] == len(names):
            yield name, shown(ours), "-", "-"
            continue
        peer = turns[:, -1]
        low, ratio, high = np.quantile(peer / ours, [0.25, 0.5, 0.75])
        yield name, shown(ours), shown(peer), f"{ratio:.2f} ({low:.2f}-{high:.2f})"


def measure_stage1(X, y, x, repeats):
    """Measure optimizer steps of the tokenizer."""
    names = [
        "stage 1 without SSL, batch 128, steps/s",
        "stage 1 with VIbCReg, batch 128, steps/s",
    ]
    turns = []
    for ssl in (None, "vibcreg"):
        data = TrainingSeries()
        tokenizer = fitted_tokenizer(X, ssl, x.device, callbacks=[data])
        turns.append(several(bare_step(tokenizer), data.series[:128]))
    if timevqvae:
        step = peer_step(peer_tokenizer(x), peer_tokenizer_loss, lr=5e-3)
        turns.append(several(step, x[:128]))
    return comparisons(names, in_turns(turns, repeats, x.device), STEPS_PER_TURN)


def measure_encode(X, y, x, repeats):
    """Measure the encoding of series into tokens; ours goes from array to array."""
    tokenizer = fitted_tokenizer(X, None, x.device)
    turns = [lambda: tokenizer.encode(X)]
    if timevqvae:
        peer = peer_sampler(x)
        turns.append(lambda: peer_encode(peer, x))
    turns = in_turns(turns, repeats, x.device)
    return comparisons(["tokenizing, series/s"], turns, len(X))


def measure_stage2(X, y, x, repeats):
    """Measure optimizer steps of the sampler; the peer's encode their batch anew."""
    sampler = fitted_sampler(X, y, x.device)
    classes = torch.tensor(y[:256], device=x.device)
    tokens = torch.tensor(sampler.tokenizer_.encode(X[:256]), device=x.device)
    turns = [several(bare_step(sampler), tokens, classes)]
    if timevqvae:
        step = peer_step(
            peer_sampler(x), lambda losses: losses.total_mask_prediction_loss, lr=1e-3
        )
        turns.append(several(step, x[:256], classes.unsqueeze(1)))
    turns = in_turns(turns, repeats, x.device)
    return comparisons(["stage 2, batch 256, steps/s"], turns, STEPS_PER_TURN)


def measure_sample(X, y, x, repeats):
    """Measure sampling from one class; the peer's turns take long, so they are few."""
    sampler = fitted_sampler(X, y, x.device)
    turns = [lambda: sampler.sample(N_SERIES, y=1, random_state=0)]
    if timevqvae:
        peer = peer_sampler(x)
        turns.append(lambda: peer_sample(peer, N_SERIES, 1, x.device))
    turns = in_turns(turns, max(3, repeats // 3), x.device)
    return comparisons([f"sample({N_SERIES}) of one class, 10 steps, s"], turns, None)


def measure_overhead(X, ssl, device, repeats):
    """Make table cells of an epoch of ``fit`` and the same epoch as a bare loop."""
    other = fitted_tokenizer(X, ssl, device)
    bare = BareEpochs(bare_step(other), other.batch_size)
    tokenizer = SSLVQTokenizer(
        ssl, max_epochs=1 + repeats, callbacks=[bare], device=device, random_state=0
    )
    tokenizer.fit(X)
    fit, loop = tokenizer.history_["dur"].to_numpy()[1:], np.array(bare.seconds[1:])
    low, overhead, high = np.quantile(100 * (fit / loop - 1), [0.25, 0.5, 0.75])
    return (
        f"epoch of fit, ssl={ssl!r}",
        f"{np.median(fit):.3g}",
        f"{np.median(loop):.3g}",
        f"{overhead:+.1f} % ({low:+.1f} to {high:+.1f})",
    )


# ------------------------------------------------------------------------ reporting


def machine(device):
    """Describe hardware and versions in one line."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    models = [line.split(": ")[1] for line in lines if line.startswith("model name")]
    facts = [
        models[0] if models else platform.processor() or platform.machine(),
        f"{torch.get_num_threads()} threads",
        f"device {device}",
        f"torch {torch.__version__}",
        f"python {platform.python_version()}",
        f"sktsrep {sktsrep.__version__}",
    ]
    if device.type == "cuda":
        facts.insert(1, torch.cuda.get_device_name(device))
    return ", ".join(facts) + "."


def cpu_seconds():
    """Read the CPU time of the machine and of this process; None except on Linux."""
    statistics = Path("/proc/stat")
    if not statistics.exists():
        return None
    user, nice, system = statistics.read_text().split()[1:4]
    everybody = (int(user) + int(nice) + int(system)) / os.sysconf("SC_CLK_TCK")
    return np.array([everybody, time.process_time(), time.perf_counter()])


def other_processes(before):
    """Say in one line how much other processes have run since ``before``."""
    if before is None:
        return "Whether other processes ran meanwhile is unknown."
    everybody, own, wall = cpu_seconds() - before
    return (
        f"Meanwhile other processes used {max(everybody - own, 0) / wall:.2f} of "
        f"{os.cpu_count()} cores on average."
    )


def print_table(header, rows):
    """Print a Markdown table, if it has rows."""
    if not rows:
        return
    print()
    for row in [header, ["---"] * len(header), *rows]:
        print("| " + " | ".join(str(cell) for cell in row) + " |", flush=True)


def arguments():
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--lengths", type=int, nargs="+", default=[140, 500])
    parser.add_argument("--repeats", type=int, default=9, help="turns per measure")
    parser.add_argument("--device", type=torch.device, default="cpu")
    parser.add_argument("--skip", nargs="+", choices=MEASURES, default=[])
    return parser.parse_args()


def main():
    """Measure and print."""
    options = arguments()
    torch.set_num_threads(2)
    torch.manual_seed(0)
    if timevqvae is None:
        print(
            "timevqvae is not installed, so only sktsrep is measured. To install it: "
            "pip install --ignore-requires-python --no-deps timevqvae && "
            "pip install einops"
        )
    measures = dict(
        stage1=measure_stage1,
        encode=measure_encode,
        stage2=measure_stage2,
        sample=measure_sample,
    )
    rows, overheads, before = [], [], cpu_seconds()
    for length in options.lengths:
        X, y = make_series(length)
        x = torch.tensor(X, device=options.device).unsqueeze(1)
        for name, measure in measures.items():
            if name not in options.skip:
                cells = measure(X, y, x, options.repeats)
                rows += [(first, length, *rest) for first, *rest in cells]
        for ssl in [None, "vibcreg"] if "overhead" not in options.skip else []:
            first, *rest = measure_overhead(X, ssl, options.device, options.repeats)
            overheads.append((first, length, *rest))
    print(machine(options.device), other_processes(before))
    header = ["measure", "length", "sktsrep", "TimeVQVAE", "ratio (quartiles)"]
    print_table(header, rows)
    print_table(["seconds", "length", "fit", "bare loop", "overhead"], overheads)


if __name__ == "__main__":
    main()
