"""The command ``nnsparse_interpolation_quality``."""

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nnunet_sparse.data.dataset_options import (
    add_axis_option,
    add_dataset_option,
    add_split_options,
)
from nnunet_sparse.data.training_images import TrainingImages, find_training_images
from nnunet_sparse.interpolation.interpolation_options import (
    NETWORK_OPTIONS,
    add_network_options,
    parse_changes,
)
from nnunet_sparse.interpolation.interpolator_presets import PUBLISHED_INTERPOLATOR_PRESET
from nnunet_sparse.interpolation.methods import (
    interpolation_method,
    method_names,
    methods_with_model,
    methods_with_network,
    methods_with_presets,
)
from nnunet_sparse.interpolation.request import Interpolation
from nnunet_sparse.prediction.model_options import add_model_options, open_model
from nnunet_sparse.prediction.trained_network import TrainedNetwork
from nnunet_sparse.report.interpolation.case_measurements import (
    Chosen,
    measure_cases,
    worst_slices,
)
from nnunet_sparse.selection.selection_options import add_positive_weight_option
from nnunet_sparse.selection.variant import Variant
from nnunet_sparse.selectors import refuse_without_network, selector_class
from nnunet_sparse.system.atomic import (
    as_json,
    check_writable,
    remove_leftovers,
    write_json,
    write_text,
)
from nnunet_sparse.system.command import CommandParser, run_command
from nnunet_sparse.system.devices import best_device, check_device
from nnunet_sparse.system.errors import SparseError
from nnunet_sparse.system.json_files import read_json
from nnunet_sparse.system.options import (
    add_device_option,
    add_num_processes_option,
    add_output_option,
    add_overwrite_option,
    add_seed_option,
    given_options,
)

if TYPE_CHECKING:
    from nnunet_sparse.prediction.loaded_network import LoadedNetwork
    from nnunet_sparse.report.interpolation.case_measurements import Networks

WAYS = {
    **{method: Interpolation(method) for method in method_names()},
    **{
        f"{method}_{part}": replace(Interpolation(method), **{switch: True})  # type: ignore[arg-type]
        for method in method_names()
        for switch, part in interpolation_method(method).switches.items()
    },
}
"""Every method, and again with each of its switches."""

_DEFAULT_WAYS = tuple(
    name
    for name, way in WAYS.items()
    if way.preset != PUBLISHED_INTERPOLATOR_PRESET and not way.uses_model
)

_FORMATS = ("png", "svg")
_OPTIONS_FILE = "options.json"
_REPORT_FILES = ("quality.md", "quality.csv", "quality.png", "quality.svg", "worst.png", "cases")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit status."""
    parser = CommandParser(
        "nnsparse_interpolation_quality",
        "Interpolate the labels of a dense data set's training volumes from some of their slices, "
        "and compare with all of them: tables, a plot, and pictures of the worst slices.",
        "nnsparse_interpolation_quality -d 4 --rho 0.05 0.1 0.2",
    )
    add_dataset_option(parser, "dense data set in nnUNet_raw", dest="base")
    add_output_option(parser, "folder of the report (default: ./NAME_interpolation)")
    parser.add_argument("--rho", type=float, nargs="+", default=[0.05, 0.1, 0.2, 0.4, 0.8])
    parser.add_argument(
        "--methods",
        nargs="+",
        choices=tuple(WAYS),
        default=list(_DEFAULT_WAYS),
        help="(default: all but published, whose training takes hours, and network)",
    )
    parser.add_argument(
        "--selector",
        nargs="+",
        default=["fixed"],
        help="of several, there are numbers of each and of all together (default: fixed)",
    )
    add_positive_weight_option(parser)
    add_seed_option(parser, "the selector")
    add_axis_option(parser)
    add_network_options(parser.add_argument_group("interpolation"), of_any_method=True)
    add_model_options(parser.add_argument_group("trained network"), "with network, what predicts")
    add_device_option(parser)
    add_overwrite_option(parser, "measure again what is there")
    add_split_options(parser)
    add_num_processes_option(parser)
    return run_command(parser, _run, argv)


def _run(args: argparse.Namespace) -> None:
    from nnunet_sparse.report.interpolation.quality_figures import draw_quality, draw_worst
    from nnunet_sparse.report.interpolation.quality_table import (
        of_all_selectors,
        of_mean,
        quality_csv,
        quality_markdown,
        quality_rows,
    )

    check_device(args.device)
    if args.preset and not any(_takes_preset(WAYS[method]) for method in args.methods):
        raise SparseError(f"--preset is for {methods_with_presets()}, which --methods leaves out")
    needs_network = any(WAYS[method].uses_network for method in args.methods)
    if not needs_network and (given := given_options(args, NETWORK_OPTIONS)):
        raise SparseError(
            f"--{given[0]} is for {methods_with_network()}, which --methods leaves out"
        )
    changes = parse_changes(args.change)
    model = open_model(args)
    if any(WAYS[method].uses_model for method in args.methods) != (model is not None):
        raise SparseError(f"--model and {methods_with_model()} of --methods go together")
    ways = [
        replace(
            WAYS[method],
            preset=args.preset or "" if _takes_preset(WAYS[method]) else "",
            network_seed=args.interpolator_seed,
            changes=changes,
            model=model.digest if model is not None and WAYS[method].uses_model else "",
        )
        for method in dict.fromkeys(args.methods)
    ]
    densities, selectors = sorted(set(args.rho)), list(dict.fromkeys(args.selector))
    for selector in selectors:
        refuse_without_network(selector)
    variants = {
        selector: {
            rho: Variant(rho, 1.0, selector, positive_weight=args.positive_weight, seed=args.seed)
            for rho in densities
        }
        for selector in selectors
    }
    _check_writable(args.output or Path())
    images = find_training_images(args)
    if model is not None:
        model.check_fits(images.raw)
    output = args.output or Path(f"{images.raw.name}_interpolation")
    asked = {
        "data_set": images.raw.name,
        "axis": images.axis,
        "rho": densities,
        "selector": selectors if len(selectors) > 1 else selectors[0],
        "seed": args.seed,
        "methods": [way.name.removeprefix("mi_") for way in ways],
        **({} if args.positive_weight == 1 else {"positive_weight": args.positive_weight}),
    }
    _check_output(output, asked, args.overwrite)
    chosen = _chosen_slices(images, variants, args)
    networks = _trained_networks(images, ways, args)
    loaded = None if model is None else _loaded(model, args.device)
    # the options first: without them the folder is not ours
    output.mkdir(parents=True, exist_ok=True)
    write_json(output / _OPTIONS_FILE, asked)
    (output / "cases").mkdir(exist_ok=True)
    remove_leftovers(output / "cases")
    found = measure_cases(
        images,
        chosen,
        ways,
        networks,
        output / "cases",
        model=loaded,
        overwrite=args.overwrite,
        num_processes=args.num_processes,
    )
    rows = quality_rows(found)
    write_text(output / "quality.md", quality_markdown(rows))
    write_text(output / "quality.csv", quality_csv(rows))
    title = f"{images.raw.name}: {len(found)} volumes, selector {' and '.join(selectors)}"
    pooled = of_all_selectors(rows)
    draw_quality(pooled, title, [output / f"quality.{ending}" for ending in _FORMATS])
    worst = worst_slices(images, chosen, ways, networks, found, output, loaded)
    (output / "worst.png").unlink(missing_ok=True)
    if worst:
        draw_worst(images.raw, worst, output / "worst.png")
    print(quality_markdown(of_mean(rows)), end="")
    pictures = "quality.png, worst.png" if worst else "quality.png; no slice is wrong"
    print(f"\nreport: {output} (quality.md, quality.csv, {pictures})")


def _check_output(output: Path, asked: Mapping[str, Any], overwrite: bool) -> None:
    """Refuse a folder with a report of other options, or with files of these names not ours.

    Raises
    ------
    SparseError
        Naming what differs.
    """
    file = output / _OPTIONS_FILE
    if overwrite:
        return
    if not file.exists():
        taken = [name for name in _REPORT_FILES if _is_taken(output / name)]
        if taken:
            raise SparseError(
                f"{output / taken[0]} is there already: choose another folder with -o, or replace "
                "it with --overwrite"
            )
        return
    found = read_json(file)
    if not isinstance(found, dict):
        found = {}
    # what is not written is the default
    found, wanted = ({"positive_weight": 1, **dict(what)} for what in (found, as_json(asked)))
    if different := [key for key in wanted if found.get(key) != wanted[key]]:
        key = different[0]
        raise SparseError(
            f"{output} holds a report with another {key.replace('_', ' ')} ({found.get(key)}): "
            "choose another folder with -o, or replace the report with --overwrite"
        )


def _is_taken(path: Path) -> bool:
    """Whether something is there; an empty folder is what a killed call has left."""
    return any(path.iterdir()) if path.is_dir() else path.exists()


def _check_writable(output: Path) -> None:
    """Find out before minutes of work whether the report can be written."""
    nearest = next(path for path in (output, *output.absolute().parents) if path.exists())
    if not nearest.is_dir():
        raise SparseError(f"{nearest} is no folder")
    check_writable(nearest / _OPTIONS_FILE)


def _chosen_slices(
    images: TrainingImages,
    variants: Mapping[str, Mapping[float, Variant]],
    args: argparse.Namespace,
) -> Mapping[str, Chosen]:
    """Annotated slices of every case."""
    from nnunet_sparse.data.check_base import check_cases
    from nnunet_sparse.features.feature_store import slice_features
    from nnunet_sparse.features.mae_request import MaeRequest
    from nnunet_sparse.selection.choose_slices import choose_slices

    uses = {name: selector_class(name).uses for name in variants}
    needed = frozenset().union(*uses.values())
    checked = check_cases(images.raw, list(images.cases), args.num_processes, needed)
    features = None
    if "features" in needed:
        mae = MaeRequest(device=args.device)
        mae.train(images, args.num_processes)
        features = slice_features(images, mae, args.num_processes)
    chosen: dict[str, dict[str, dict[float, tuple[int, ...]]]] = {
        case_id: {selector: {} for selector in variants} for case_id in images.cases
    }
    for selector, of_selector in variants.items():
        seen = features if "features" in uses[selector] else None
        for rho, variant in of_selector.items():
            selection = choose_slices(images.raw.name, variant, images.axis, checked, seen)
            for case_id, case in selection.cases.items():
                chosen[case_id][selector][rho] = case.slices
    return chosen


def _takes_preset(way: Interpolation) -> bool:
    return interpolation_method(way.method).takes_preset()


def _trained_networks(
    images: TrainingImages, ways: Sequence[Interpolation], args: argparse.Namespace
) -> "Networks":
    """The networks that the ways need, trained where they are not there."""
    networks = {}
    for way in ways:
        if way.uses_network and way.network() not in networks:
            request = way.network(args.device)
            model = request.train(images, args.num_processes)
            networks[way.network()] = request.restore(model)
    return networks


def _loaded(model: TrainedNetwork, device: str | None) -> "LoadedNetwork":
    from nnunet_sparse.prediction.loaded_network import LoadedNetwork

    return LoadedNetwork(model, best_device(device))
