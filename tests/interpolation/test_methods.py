import subprocess
import sys
from dataclasses import fields

import numpy as np
import pytest

from nnunet_sparse.interpolation.methods import interpolation_method, method_names
from nnunet_sparse.interpolation.request import Interpolation
from nnunet_sparse.system.errors import SparseError


def test_names_in_the_order_of_commands_and_reports():
    assert method_names() == ("correspondence", "published", "shape", "nearest", "network")
    assert method_names(with_model=False) == method_names()[:4]
    with pytest.raises(
        SparseError, match="'magic', choose from correspondence, published, shape, nearest, network"
    ):
        interpolation_method("magic")


@pytest.mark.parametrize("name", method_names(with_model=False))
def test_every_method_keeps_its_promises(name):
    method = interpolation_method(name)
    assert method.name == name
    assert method.summary
    assert {field.name for field in fields(method)} == set(method.switches)
    for switch, part in method.switches.items():
        assert Interpolation(name, **{switch: True}).name == f"mi_{name}_{part}"
    label = np.zeros((5, 4, 4), np.int16)
    label[[0, 4], 1:3, 1:3] = 3
    annotated = np.array([1, 0, 0, 0, 1], bool)
    found = method().fill(label, annotated, (1.0, 1.0), lambda moving, *_: moving)
    assert (found.label == label[0]).all()
    assert found.hops.tolist() == [0, 1, 2, 1, 0]


def test_names_of_methods_need_no_pytorch():
    script = (
        "import sys; import nnunet_sparse.interpolation.request; "
        "import nnunet_sparse.features.mae_request; assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", script], check=True)
