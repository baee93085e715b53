from contextlib import nullcontext

import pytest
import torch

from nnunet_sparse.system.devices import best_device, check_device, half_precision
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
