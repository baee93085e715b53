"""Which slices of which volumes should be annotated? Slice-sparse annotation for nnU-Net v2."""

from importlib.metadata import version

__version__ = version("nnunet-sparse")
