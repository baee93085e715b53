import getpass

import pytest

from nnunet_sparse.annotate.user_name import user_name


def test_users_without_a_name(monkeypatch: pytest.MonkeyPatch) -> None:
    def nobody() -> str:
        raise KeyError("getpwuid(): uid not found: 1234")

    monkeypatch.setattr(getpass, "getuser", nobody)
    assert user_name() == ""
