import pytest
import torch

from nnunet_sparse.devices import best_device, check_device, half_precision
from nnunet_sparse.errors import SparseError


@pytest.mark.parametrize(("has_amx", "expected"), [(True, torch.bfloat16), (False, None)])
def test_processors_convolve_in_bfloat16_if_they_have_it(monkeypatch, has_amx, expected):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"amx_bf16": has_amx})
    assert half_precision(torch.device("cpu")) is expected


@pytest.mark.parametrize(("has_it", "expected"), [(True, torch.bfloat16), (False, torch.float16)])
def test_gpus(monkeypatch, has_it, expected):
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda: has_it)
    assert half_precision(torch.device("cuda")) is expected


def test_devices_that_are_not_there():
    assert best_device("cpu") == torch.device("cpu")
    check_device(None)
    with pytest.raises(SparseError, match="device 'quantum' cannot be used; cpu or cuda"):
        check_device("quantum")
