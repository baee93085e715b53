"""nnU-Net's plans as the doctor reads them: found by name, and complete enough to be examined."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nnunet_sparse.data.plans_configuration import InheritanceError, Plans, configuration_of
from nnunet_sparse.system.errors import SparseError
from nnunet_sparse.system.file_names import check_file_name
from nnunet_sparse.system.json_files import load_json
from nnunet_sparse.system.wording import brief

_PREFERRED = ("nnsparsePlans", "nnUNetPlans")
_WORDS: dict[type, str] = {str: "a text", list: "a list", dict: "a mapping"}
_KEYS: dict[str, type] = {"plans_name": str, "configurations": dict, "transpose_forward": list}
_CONFIGURATION_KEYS: dict[str, type] = {
    "data_identifier": str,
    "patch_size": list,
    "spacing": list,
    "normalization_schemes": list,
    "use_mask_for_norm": list,
    "resampling_fn_seg": str,
    "resampling_fn_seg_kwargs": dict,
}


def choose_plans(folder: Path, name: str | None) -> Plans | None:
    """Read the plans of a data set.

    Parameters
    ----------
    folder
        The data set's folder in ``nnUNet_preprocessed``.
    name
        Name of the plans; None for ``nnsparsePlans``, else the only plans there are, else
        ``nnUNetPlans``.

    Returns
    -------
    dict or None
        The plans; None without a name if there are none.

    Raises
    ------
    SparseError
        If there are none of that name, several to choose from, or they are damaged.
    """
    found: dict[str, Plans] = {}
    damaged: dict[str, str] = {}
    for file in sorted(folder.glob("*.json")):
        try:
            content = load_json(file, float)
        except SparseError as error:
            damaged[file.stem] = str(error)
            continue
        if isinstance(content, dict) and {"plans_name", "configurations"} <= content.keys():
            found[file.stem] = content
        elif file.stem in (name, *_PREFERRED):
            damaged[file.stem] = f"{file} is no plans file, it lacks plans_name or configurations"
    if name is None:
        name = _default_name(folder, found, damaged)
    if name is None:
        return None
    if name in damaged:
        raise SparseError(f"{damaged[name]}; plan again")
    if name not in found:
        existing = f"there are {', '.join(found)}" if found else "there are none"
        raise SparseError(f"{folder} has no plans {name!r}, {existing}")
    _check(found[name], folder / f"{name}.json")
    return found[name]


def _default_name(
    folder: Path, found: Mapping[str, Plans], damaged: Mapping[str, str]
) -> str | None:
    first, last = _PREFERRED
    # damaged plans of a well-known name are meant, other damaged files may be anything
    if first in found or first in damaged:
        return first
    if len(found) == 1 and last not in damaged:
        return next(iter(found))
    if last in found or last in damaged:
        return last
    if found:
        raise SparseError(f"{folder} has several plans, choose with -p: {', '.join(found)}")
    return None


def _check(plans: Plans, file: Path) -> None:
    """Refuse plans that lack what is read of them."""
    _check_kinds(plans, _KEYS, str(file))
    names = plans["configurations"]
    if not names:
        raise SparseError(f"{file} holds no configuration; plan again")
    check_file_name(plans["plans_name"], f"{file}: plans_name")
    if sorted(map(str, plans["transpose_forward"])) != ["0", "1", "2"]:
        raise SparseError(
            f"{file}: transpose_forward must order the axes 0, 1 and 2, got "
            f"{plans['transpose_forward']!r}"
        )
    for name, own in names.items():
        if not isinstance(own, dict):
            raise SparseError(f"{file}: configuration {name} must map keys to values")
    for name in names:
        try:
            configuration = configuration_of(plans, name)
        except InheritanceError as error:
            raise SparseError(
                f"{file}: configuration {error.heir} inherits from {error.parent!r}, which must be "
                "another of its configurations"
            ) from error
        where = f"{file}: configuration {name}"
        check_file_name(name, f"{file}: a configuration")
        _check_kinds(configuration, _CONFIGURATION_KEYS, where)
        check_file_name(configuration["data_identifier"], f"{where}: data_identifier")


def _check_kinds(content: Mapping[str, Any], kinds: Mapping[str, type], where: str) -> None:
    for key, kind in kinds.items():
        if not isinstance(content.get(key), kind):
            raise SparseError(
                f"{where}: {key} must be {_WORDS[kind]}, got {brief(content.get(key))}"
            )
