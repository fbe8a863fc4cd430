"""Two processes that train together: what they learn is what one learns alone."""

import os
import pickle
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import torch

from sktsrep._device import resolve_device
from tests import rank

ROOT = Path(__file__).parent.parent
SECONDS = 300  # machines may be busy


def environment(**more):
    """That of a process with one thread, which finds others on this machine only."""
    alone = {"GLOO_SOCKET_IFNAME": "lo", "OMP_NUM_THREADS": "1"}
    path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    return {**os.environ, **alone, "PYTHONPATH": path, **more}


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return str(listener.getsockname()[1])


def start(i, port, folder):
    place = {"RANK": str(i), "WORLD_SIZE": "2"}
    place |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    return subprocess.Popen(
        [sys.executable, "-m", "tests.rank", str(folder)],
        env=environment(**place),
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def run_ranks(folder):
    """Results, output and exit codes of both ranks."""
    port = free_port()
    processes = [start(i, port, folder) for i in range(2)]
    try:
        output = [process.communicate(timeout=SECONDS) for process in processes]
    finally:
        for process in processes:
            process.kill()
    results = []
    for i, (_, errors) in enumerate(output):
        file = folder / f"results_{i}"
        assert file.exists(), errors
        results.append(pickle.loads(file.read_bytes()))
    return results, output, [process.returncode for process in processes]


# One test of all that two processes have done: parallel workers would start them anew.
def test_two_processes_train_one_model(tmp_path):
    results, output, codes = run_ranks(tmp_path)
    for name in rank.EQUAL:
        first, second = (result[name] for result in results)
        assert_close(first, second, 0, name)
        assert_close(first, rank.result(rank.fit_one_step(name)), 1e-5, name)
    for name in ("early_stopping", "dropout", "interrupted", "checkpoint"):
        first, second = (result[name] for result in results)
        assert_close(first[:2], second[:2], 0, name)
    check_ends(*results)
    check_refusals(*results)
    check_pickles(*results)
    # The first rank alone prints, and an error on one rank ends both.
    (printed, stopped), (silent, failed) = output
    assert "1 of 2" in printed
    assert silent == ""
    assert "rank 1 has a bad day" in failed
    assert "rank 1 has a bad day" not in stopped
    assert 0 not in codes


def assert_close(one, two, atol, name):
    (tensors, history), (others, other_history) = one, two
    assert tensors.keys() == others.keys()
    for key, tensor in tensors.items():
        where = f"{name}: {key}"
        torch.testing.assert_close(tensor, others[key], rtol=0, atol=atol, msg=where)
    names = history.columns if atol == 0 else history.columns.drop("dur")
    values, expected = (h[names].astype(float) for h in (history, other_history))
    np.testing.assert_allclose(values, expected, rtol=atol, atol=atol, err_msg=name)


def check_ends(*results):
    for result in results:
        _, history = result["early_stopping"]
        assert len(history) < 40
        assert not history["valid_loss_best"].iloc[-1]
        _, history, warned = result["interrupted"]
        assert len(history) == 2
        assert any("interrupted by user" in text for text in warned)
        _, history, written = result["checkpoint"]
        assert written == ["checkpoint_0"]
        assert len(history) == 4  # the second fit went on where the first was stopped


def check_refusals(*results):
    for result in results:
        assert "same data and parameters" in result["other_data"]
        assert "same data and parameters" in result["other_parameters"]
        assert "int, got None" in result["random"]


def check_pickles(*results):
    """They open without a group, and are the same of all ranks."""
    tokenizers = [pickle.loads(result["pickled"][0]) for result in results]
    assert_close(*map(rank.result, tokenizers), 0, "pickled")
    _, expected = results[1]["pickled"]
    np.testing.assert_array_equal(tokenizers[0].transform(rank.X), expected)


SCRIPT = """
import os, sys
import numpy as np
from sktsrep import SSLEncoder
time = np.linspace(0, 9, 50)
X = np.sin(time * np.linspace(1, 3, 20)[:, None])
encoder = SSLEncoder(max_epochs=2, random_state=0, device="cpu").fit(X)
np.save(sys.argv[1] + os.environ["RANK"], encoder.transform(X))
"""


def test_torchrun(tmp_path):
    script, features = tmp_path / "script.py", tmp_path / "features"
    script.write_text(SCRIPT)
    torchrun = [sys.executable, "-m", "torch.distributed.run"]
    torchrun += ["--standalone", "--local-addr", "127.0.0.1", "--nproc-per-node", "2"]
    subprocess.run(
        [*torchrun, str(script), str(features)],
        env=environment(),
        cwd=tmp_path,
        timeout=SECONDS,
        check=True,
    )
    first, second = (np.load(f"{features}{i}.npy") for i in range(2))
    np.testing.assert_array_equal(first, second)


def test_processes_share_the_gpus_of_a_machine(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert str(resolve_device("auto")) == "cuda"
    monkeypatch.setenv("WORLD_SIZE", "4")
    monkeypatch.setenv("LOCAL_RANK", "1")
    assert str(resolve_device("auto")) == "cuda:1"
    assert str(resolve_device("cuda:0")) == "cuda:0"
    monkeypatch.setenv("LOCAL_RANK", "3")  # each process may see one GPU only
    assert str(resolve_device("cuda")) == "cuda:1"
