import subprocess
from contextlib import nullcontext

import pytest
import torch

from nnunet_sparse.system import devices
from nnunet_sparse.system.devices import (
    VISIBLE,
    GpuState,
    best_device,
    check_device,
    gpu_state,
    half_precision,
    usable_gpus,
)
from nnunet_sparse.system.errors import SparseError


@pytest.mark.parametrize(("has_amx", "expected"), [(True, torch.bfloat16), (False, None)])
def test_processors_convolve_in_bfloat16_if_they_have_it(monkeypatch, has_amx, expected):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"amx_bf16": has_amx})
    assert half_precision(torch.device("cpu")) is expected


def test_versions_that_do_not_tell_what_a_processor_has(monkeypatch):
    monkeypatch.delattr(torch.cpu, "get_capabilities", raising=False)
    assert half_precision(torch.device("cpu")) is None


@pytest.mark.parametrize(("has_it", "expected"), [(True, torch.bfloat16), (False, torch.float16)])
def test_gpus(monkeypatch, has_it, expected):
    def supported(including_emulation):
        return has_it or including_emulation

    monkeypatch.setattr(torch.cuda, "is_bf16_supported", supported)
    monkeypatch.setattr(torch.cuda, "device", lambda _: nullcontext())
    assert half_precision(torch.device("cuda")) is expected


def test_devices_that_are_not_there():
    assert best_device("cpu") == torch.device("cpu")
    check_device(None)
    with pytest.raises(SparseError, match="device 'quantum' cannot be used: choose cpu or cuda"):
        check_device("quantum")


@pytest.mark.parametrize("name", ["vulkan", "xla", "hpu", "mps:3", "cuda:977", "", "cpu0", "meta"])
def test_names_of_devices_that_this_machine_has_not(name):
    with pytest.raises(SparseError, match="cannot be used"):
        best_device(name)


@pytest.fixture
def programs(monkeypatch):
    """Lines that programs print, by the beginning of their name; those not named are not there."""
    said = {}

    def run(command, **_):
        name = command[0].rpartition("/")[2]
        for begin, text in said.items():
            if name.startswith(begin):
                return subprocess.CompletedProcess(command, 0, text)
        raise FileNotFoundError(name)

    monkeypatch.setattr(devices.subprocess, "run", run)
    devices._usable.cache_clear()
    yield said
    devices._usable.cache_clear()


def test_gpus_of_the_environment(monkeypatch, programs):
    programs["python"] = "2\n"
    monkeypatch.setenv(VISIBLE, "3, 5")
    assert usable_gpus() == ("3", "5")
    for nothing in ("", "-1", "NoDevFiles", "-1,0"):
        monkeypatch.setenv(VISIBLE, nothing)
        assert usable_gpus() == ()
    monkeypatch.setenv(VISIBLE, "0,-1,1")
    assert usable_gpus() == ("0",)


def test_gpus_of_the_machine(monkeypatch, programs):
    monkeypatch.delenv(VISIBLE, raising=False)
    programs["nvidia-smi"], programs["python"] = "0\n1\n", "warning\n2\n"
    assert usable_gpus() == ("0", "1")


def test_gpus_that_pytorch_cannot_use(monkeypatch, programs):
    monkeypatch.delenv(VISIBLE, raising=False)
    programs["nvidia-smi"], programs["python"] = "0\n1\n", "0\n"
    assert usable_gpus() == ()
    devices._usable.cache_clear()
    del programs["python"]
    assert usable_gpus() == ()


@pytest.mark.usefixtures("programs")
def test_without_gpu_pytorch_is_not_asked(monkeypatch):
    monkeypatch.delenv(VISIBLE, raising=False)
    monkeypatch.setattr(devices, "_count_usable", lambda: pytest.fail("PyTorch was asked"))
    assert usable_gpus() == ()


@pytest.mark.parametrize(
    ("said", "state"),
    [
        ("NVIDIA H200, 143771, 1024, 35\n", GpuState("NVIDIA H200", 143771, 1024, 0.35)),
        ("A card, with a comma, 8192, 0, 100", GpuState("A card, with a comma", 8192, 0, 1.0)),
        ("NVIDIA A100 MIG, [N/A], [N/A], [N/A]", None),
        ("a, 0, 0, 0", None),
        ("No devices were found", None),
        ("", None),
    ],
)
def test_what_a_gpu_says_of_itself(programs, said, state):
    programs["nvidia-smi"] = said
    assert gpu_state("0") == state


@pytest.mark.usefixtures("programs")
def test_a_gpu_without_its_program():
    assert gpu_state("0") is None
