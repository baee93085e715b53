"""Data sets that the benchmarks train on, made by the commands that a user would type."""

from dataclasses import dataclass
from pathlib import Path

from nnunet_sparse.data.dataset_name import names_with_suffix, parse_dataset_name
from nnunet_sparse.data.raw_dataset import RawDataset
from nnunet_sparse.selection.variant import Variant
from nnunet_sparse.system.errors import SparseError
from nnunet_sparse.system.paths import NnUNetPaths
from nnunet_sparse.system.pipeline import Command, Runner, words

PHANTOM = "phantom:"
_FEW = 10


@dataclass(frozen=True)
class BenchData:
    """Where the data sets are made, and how they are split and planned.

    Attributes
    ----------
    paths
        nnU-Net's folders.
    runner
        Runs the commands.
    test
        Number of test cases of real data.
    planner
        Name of the planner.
    configurations
        Configurations that are preprocessed.
    settings
        Entries ``key=value`` of the configurations' ``nnsparse`` blocks.
    phantom
        Options of ``nnsparse_make_phantom``.
    """

    paths: NnUNetPaths
    runner: Runner
    test: str
    planner: str
    configurations: tuple[str, ...]
    settings: tuple[str, ...] = ()
    phantom: str = "--num_train 28 --num_test 40"

    def variant(self, data: str, rho: float) -> str:
        """Name of the preprocessed variant of a base with fixed slices; made where it is missing.

        Parameters
        ----------
        data
            Raw data set in nnU-Net's format (a folder, which is linked), or ``phantom:TASK``.
        rho
            Density.

        Raises
        ------
        SparseError
            If a command fails.
        """
        return self.of_variant(data, Variant(rho, 1.0, "fixed"))

    def of_variant(self, data: str, variant: Variant) -> str:
        """Likewise for another selector, scope or seed; the other factors have their defaults."""
        raw, name = self.paths.raw, base_name(data)
        suffix = variant.dataset_suffix(name)
        base = self.base(data)
        test = "" if data.startswith(PHANTOM) else f"--test {self.test}"
        make = (
            f"nnsparse_make_dataset -d {{}} --rho {variant.rho} --s {variant.s} "
            f"--selector {variant.selector} --scope {variant.scope} --seed {variant.seed} "
            f"{test} -np {{np}}"
        )
        title = suffix.removesuffix("_seed0")
        self.runner.run(Command(f"{title} make", words(make, base)))
        found = names_with_suffix(raw, suffix)
        if len(found) != 1:
            raise SparseError(f"{len(found)} data sets named {suffix} in {raw}, one is needed")
        plan = f"nnsparse_plan_and_preprocess -d {{}} -pl {self.planner} -np {{np}} -c "
        settings = f" --set {' '.join(self.settings)}" if self.settings else ""
        command = words(plan + " ".join(self.configurations) + settings, found[0])
        self.runner.run(Command(f"{title} plan", command))
        return found[0]

    def base(self, data: str) -> str:
        """Full name of a base, linked or made where it is missing."""
        return self._phantom(data) if data.startswith(PHANTOM) else self._linked(data)

    def _phantom(self, data: str) -> str:
        name = base_name(data)
        if not names_with_suffix(self.paths.raw, name):
            make = f"nnsparse_make_phantom {{}} {self.phantom} -np {{np}}"
            self.runner.run(Command(f"{name} phantom", words(make, data.removeprefix(PHANTOM))))
        return names_with_suffix(self.paths.raw, name)[0]

    def _linked(self, data: str) -> str:
        link = self.paths.raw / Path(data).absolute().name
        if not link.exists():
            link.symlink_to(Path(data).resolve())
        return link.name


def open_paths(output: Path) -> NnUNetPaths:
    """nnU-Net's folders below a folder, made, and known to the commands that are run."""
    paths = NnUNetPaths.below(output)
    paths.make_folders()
    paths.export()
    return paths


def is_small(raw: RawDataset) -> bool:
    """Whether the usual split would leave little for training."""
    return len(raw.training) < _FEW


def base_name(data: str) -> str:
    """Name of a base without its ID."""
    if data.startswith(PHANTOM):
        return f"Phantom{data.removeprefix(PHANTOM).capitalize()}"
    return parse_dataset_name(Path(data).absolute().name)[1]
