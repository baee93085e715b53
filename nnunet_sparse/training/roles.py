"""What the labels of a data set are to its task.

============== =========================================================
role           labels
============== =========================================================
``target``     what the segmentation is for: a tumour, a lesion
``context``    annotated structures around it: the organ of the tumour
``background`` label 0
``unannotated`` the ignore label
============== =========================================================

``dataset.json`` may say which labels are which::

    "nnsparse": {"roles": {"target": ["tumour"], "context": ["liver"]}}

and so may ``recipe.roles`` in the settings of the plans, which wins. Foreground labels that are not
named have the role that is left: context where targets are named, target where contexts are. A data
set that says nothing has targets only.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from nnunet_sparse.data.declared_labels import IGNORE
from nnunet_sparse.system.errors import SparseError

ROLES = ("target", "context", "background", "unannotated")
_FOREGROUND = ("target", "context")
BLOCK = "nnsparse"


def resolve_roles(
    dataset_json: Mapping[str, Any], roles: Mapping[str, Any] | None = None
) -> dict[str, tuple[int, ...]]:
    """Labels of every role.

    Parameters
    ----------
    dataset_json
        Content of ``dataset.json``.
    roles
        Labels of the target and of the context, in place of those that ``dataset_json`` declares.

    Returns
    -------
    dict
        For each of ``ROLES`` its label values, ascending; none for a role that the data set lacks.

    Raises
    ------
    SparseError
        If the data set has regions, a role or label is unknown, a label has two roles, or there is
        no target.
    """
    labels: Mapping[str, Any] = dataset_json["labels"]
    if _has_regions(labels):
        raise SparseError(
            "recipes are for labels, and this data set has regions: declare labels in dataset.json"
        )
    values = {name: int(value) for name, value in labels.items()}
    ignore = values.pop(IGNORE, None)
    foreground = sorted(value for value in values.values() if value != 0)
    declared = roles or _declared(dataset_json)
    named = {role: _values(role, chosen, values) for role, chosen in declared.items()}
    taken = [value for chosen in named.values() for value in chosen]
    if twice := sorted({value for value in taken if taken.count(value) > 1}):
        raise SparseError(f"label {twice[0]} has two roles, or one twice: {dict(declared)}")
    rest = tuple(value for value in foreground if value not in taken)
    left = "context" if named.get("target") else "target"
    found = {role: tuple(sorted(named.get(role, ()))) for role in _FOREGROUND}
    found[left] = tuple(sorted((*found[left], *rest)))
    if not found["target"]:
        raise SparseError(f"no label is left for the target: {dict(declared)}")
    return {
        **found,
        "background": (0,),
        "unannotated": () if ignore is None else (ignore,),
    }


def target_names(dataset_json: Mapping[str, Any]) -> tuple[str, ...]:
    """Names of the target's labels, for those who compare networks on the target alone.

    Returns
    -------
    tuple of str
        In the order of ``dataset.json``; empty where it declares no roles, or has regions.

    Raises
    ------
    SparseError
        As by :func:`resolve_roles`.
    """
    labels: Mapping[str, Any] = dataset_json["labels"]
    if _has_regions(labels) or not _declared(dataset_json):
        return ()
    values = resolve_roles(dataset_json)["target"]
    return tuple(name for name, value in labels.items() if int(value) in values)


def _has_regions(labels: Mapping[str, Any]) -> bool:
    # also [1], which is one label to nnU-Net: recipes want plain numbers
    return any(isinstance(value, list | tuple) for value in labels.values())


def class_weights(
    roles: Mapping[str, Sequence[int]], weights: Mapping[str, float], num_classes: int
) -> list[float] | None:
    """Weight of every class from the weights of roles; 1 for roles that have none.

    Parameters
    ----------
    roles
        Labels of every role.
    weights
        By role.
    num_classes
        Number of classes, background included.

    Returns
    -------
    list of float or None
        None where all weights are equal because none is given.

    Raises
    ------
    SparseError
        If label values have gaps, or all weights are 0.
    """
    if not weights:
        return None
    foreground = [value for role in _FOREGROUND for value in roles[role]]
    if max(foreground) >= num_classes:
        raise SparseError("nnU-Net needs consecutive labels 0, 1, ...")
    found = [1.0] * num_classes
    for role, weight in weights.items():
        for value in roles.get(role, ()):
            found[value] = float(weight)
    if not any(found[value] for value in (0, *foreground)):
        raise SparseError(f"class_weights leave no class with a weight above 0: {dict(weights)}")
    return found


def _declared(dataset_json: Mapping[str, Any]) -> Mapping[str, Any]:
    block = dataset_json.get(BLOCK, {})
    roles = block.get("roles", {}) if isinstance(block, Mapping) else None
    if not isinstance(roles, Mapping):
        raise SparseError(
            f'dataset.json: "{BLOCK}" must hold {{"roles": {{"target": [...]}}}}, got {block!r}'
        )
    return roles


def _values(role: str, chosen: Any, values: Mapping[str, int]) -> list[int]:
    """Label values of a role's names or values."""
    if role not in _FOREGROUND:
        raise SparseError(f"role must be one of {', '.join(_FOREGROUND)}, got {role!r}")
    found = []
    for label in chosen if isinstance(chosen, list | tuple) else [chosen]:
        value = values.get(label, label) if isinstance(label, str) else label
        if isinstance(value, bool) or value not in values.values() or value == 0:
            names = ", ".join(name for name, number in values.items() if number != 0)
            raise SparseError(f"role {role}: there is no label {label!r} (there are {names})")
        found.append(int(value))
    return found
