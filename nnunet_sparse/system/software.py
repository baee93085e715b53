"""Versions of the packages that decide a result."""

from importlib.metadata import PackageNotFoundError, version

_PACKAGES = ("nnunet_sparse", "nnunetv2", "torch")


def software() -> str:
    """Versions that are installed, as ``nnunet_sparse 0.1.0, nnunetv2 2.8.1, torch 2.15.0``."""
    found = []
    for package in _PACKAGES:
        try:
            found.append(f"{package} {version(package)}")
        except PackageNotFoundError:
            continue
    return ", ".join(found)
