"""The content of a plans file: comparing it, its settings, and the data that it shares.

Plans are nnU-Net's dictionaries, as JSON gives them back: lists, no tuples.
"""

from collections.abc import Collection, Iterator, Mapping
from itertools import chain, count
from pathlib import Path
from typing import Any

from nnunet_sparse.data.plans_configuration import (
    IMAGE_FIELDS,
    INTENSITIES,
    LABEL_FIELDS,
    Plans,
    configuration_of,
)
from nnunet_sparse.system.errors import SparseError
from nnunet_sparse.system.file_names import is_file_name
from nnunet_sparse.system.json_files import load_json
from nnunet_sparse.training.settings import BLOCK, TrainingSettings

STOCK_CONFIGURATIONS = ("2d", "3d_fullres", "3d_lowres", "3d_cascade_fullres")
_DEFAULT_CONFIGURATIONS = ("2d", "3d_fullres")
FINGERPRINT_FILE = "dataset_fingerprint.json"

_PREPROCESSING_OF_ALL = (
    "image_reader_writer",
    "transpose_forward",
    "label_manager",
    INTENSITIES,
)


def check_configurations_exist(names: Collection[str], existing: Collection[Plans]) -> None:
    """Refuse, before planning, configurations that neither nnU-Net nor existing plans know."""
    known = [*STOCK_CONFIGURATIONS, *chain(*(plans["configurations"] for plans in existing))]
    if unknown := [name for name in names if name not in known]:
        raise SparseError(
            f"unknown configuration {unknown[0]!r}, choose from {', '.join(dict.fromkeys(known))}"
        )


def check_configurations(plans: Plans, names: Collection[str]) -> None:
    """Refuse configurations that the plans do not have."""
    planned = list(plans["configurations"])
    for name in names:
        if name not in planned:
            raise SparseError(
                f"configuration {name!r} is not planned for this data set (planned: "
                f"{', '.join(planned)}; choose with -c)"
            )


def default_configurations(plans: Plans) -> list[str]:
    """The configurations that are preprocessed where the user names none."""
    return [name for name in _DEFAULT_CONFIGURATIONS if name in plans.get("configurations", {})]


def with_settings(plans: Plans, changes: Mapping[str, Any]) -> Plans:
    """The plans with some training settings changed in all configurations."""
    if not changes:
        return plans
    configurations = {}
    for name, configuration in plans["configurations"].items():
        # heirs get the block with everything else
        if "inherits_from" not in configuration:
            settings = TrainingSettings.from_block(configuration.get(BLOCK, {}))
            block = settings.replaced(changes).to_block()
            configurations[name] = configuration | {BLOCK: block}
        else:
            configurations[name] = configuration
    return plans | {"configurations": configurations}


def moved(plans: Plans, data_set: str, plans_name: str) -> Plans:
    """The plans for another data set, under another name.

    Data identifiers that begin with the old name begin with the new one.
    """
    prefix = f"{plans['plans_name']}_"
    configurations = {}
    for name, configuration in plans["configurations"].items():
        identifier = configuration.get("data_identifier", "")
        if identifier.startswith(prefix):
            renamed = f"{plans_name}_{identifier.removeprefix(prefix)}"
            configurations[name] = configuration | {"data_identifier": renamed}
        else:
            configurations[name] = configuration
    return plans | {
        "dataset_name": data_set,
        "plans_name": plans_name,
        "configurations": configurations,
    }


def preprocessing_fields(plans: Plans, configuration: str) -> dict[str, Any]:
    """Everything in the plans on which the preprocessed data of a configuration depend."""
    resolved = configuration_of(plans, configuration)
    return {key: resolved.get(key) for key in (*IMAGE_FIELDS, *LABEL_FIELDS)} | {
        key: plans.get(key) for key in _PREPROCESSING_OF_ALL
    }


def share_preprocessed(
    plans: Plans, own: Plans | None, others: Collection[Plans], recorded: Collection[str]
) -> Plans:
    """The plans with the data identifiers of equally preprocessed data, and of no other data.

    Parameters
    ----------
    plans
        New plans.
    own
        Plans that now stand in the file of the new ones; their data are taken first.
    others
        All other plans of the data set.
    recorded
        Data identifiers of our plans and of data that are known to be ours. The data of others are
        not shared: we could not tell whether they are complete.

    Returns
    -------
    dict
        Plans in which no data identifier is one that other plans use for other data.
    """
    configurations = {}
    for name, configuration in plans["configurations"].items():
        if "data_identifier" not in configuration:
            configurations[name] = configuration
            continue
        wanted = preprocessing_fields(plans, name)
        data = [(i, fields == wanted) for old in others for i, fields in _data(old)]
        different = {i for i, equal in data if not equal}
        unknown = {i for i, equal in data if equal and i not in recorded}
        kept = [i for i, fields in _data(own) if fields == wanted] if own else []
        shared = sorted(i for i, equal in data if equal and i in recorded)
        named = _numbered(configuration["data_identifier"])
        fresh = (i for i in chain(shared, named) if i not in unknown)
        identifier = next(i for i in chain(kept, fresh) if i not in different)
        configurations[name] = configuration | {"data_identifier": identifier}
    return plans | {"configurations": configurations}


def difference(old: Plans, new: Plans) -> str | None:
    """Name of the first part in which plans differ, or None.

    Configurations that only the old plans have are the user's, and no difference.
    """
    for key in sorted((old.keys() | new.keys()) - {"configurations"}):
        if old.get(key) != new.get(key):
            return key
    for name, configuration in new["configurations"].items():
        before = old["configurations"].get(name)
        if before is None:
            return f"configuration {name}"
        for key in sorted(before.keys() | configuration.keys()):
            # no block and an empty one say the same
            if (before.get(key) or None) != (configuration.get(key) or None):
                return f"{key} of configuration {name}"
    return None


def read_plans(file: Path) -> Plans | None:
    """Content of a plans file, or None if it is none, was written half or names other folders.

    NaN, which nnU-Net writes for the intensities of a foreground that there is not, becomes None:
    JSON has no NaN, and one equals no other.
    """
    try:
        content = load_json(file, constant=lambda _: None)
    except (OSError, ValueError):
        return None
    if not isinstance(content, dict) or "plans_name" not in content:
        return None
    configurations = content.get("configurations")
    if not isinstance(configurations, dict):
        return None
    if not all(isinstance(c, dict) for c in configurations.values()):
        return None
    identifiers = [c["data_identifier"] for c in configurations.values() if "data_identifier" in c]
    folders = (content["plans_name"], *configurations, *identifiers)
    return content if all(map(is_file_name, folders)) else None


def data_identifiers(plans: Plans) -> set[str]:
    """Names of the folders of preprocessed data that plans use."""
    return {identifier for identifier, _ in _data(plans)}


def _data(plans: Plans) -> Iterator[tuple[str, dict[str, Any]]]:
    for name in plans["configurations"]:
        resolved = configuration_of(plans, name)
        if "data_identifier" in resolved:
            yield resolved["data_identifier"], preprocessing_fields(plans, name)


def _numbered(identifier: str) -> Iterator[str]:
    yield identifier
    for number in count(2):
        yield f"{identifier}_{number}"
