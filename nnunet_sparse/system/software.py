"""Versions of the packages that decide a result."""

from importlib.metadata import PackageNotFoundError, version
from typing import Any

_PACKAGES = ("nnunet_sparse", "nnunetv2", "torch")


KEY = "software"
"""Key of versions in JSON files."""


def without_software(content: Any) -> Any:
    """Content of a JSON file that does not depend on versions of software."""
    if not isinstance(content, dict):
        return content
    return {key: value for key, value in content.items() if key != KEY}


def software() -> str:
    """Versions that are installed, as ``nnunet_sparse 0.1.0, nnunetv2 2.8.1, torch 2.15.0``."""
    found = []
    for package in _PACKAGES:
        try:
            found.append(f"{package} {version(package)}")
        except PackageNotFoundError:
            continue
    return ", ".join(found)
