"""Why a variant is part of an experiment, see :class:`nnunet_sparse.grid.cells.CellVariant`."""

DENSE, SPARSE, INTERPOLATED, PARTNER = "dense", "sparse", "interpolated", "partner"
ROUND = "round"
