"""Endings of the files that volumes are kept in, and which part of ITK reads them."""

from pathlib import Path

NIFTI_ENDINGS = (".nii.gz", ".nii")
IMAGE_IO = {
    ".nrrd": "NrrdImageIO",
    ".nhdr": "NrrdImageIO",
    ".mha": "MetaImageIO",
    ".mhd": "MetaImageIO",
    ".gipl": "GiplImageIO",
    ".gipl.gz": "GiplImageIO",
}
"""What ITK calls the readers of other formats that know where their voxels lie."""
TIFF_ENDINGS = (".ome.tif", ".ome.tiff", ".tif", ".tiff")
"""Endings of stacks that say nothing of their position; nnU-Net keeps their spacing beside them."""
PLACED_ENDINGS = (*NIFTI_ENDINGS, *IMAGE_IO)
VOLUME_ENDINGS = (*PLACED_ENDINGS, *TIFF_ENDINGS)


def ending_of(path: Path) -> str:
    """One of :data:`VOLUME_ENDINGS`, in small letters; empty for other files."""
    return next((ending for ending in VOLUME_ENDINGS if path.name.lower().endswith(ending)), "")


def is_tiff(path: Path) -> bool:
    """Whether the file's name has an ending of TIFF, in small or capital letters."""
    return path.name.lower().endswith(TIFF_ENDINGS)
