"""DICOM files as scanners write them, made with pydicom: slices, multi-frame files, others."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import UID, ExplicitVRLittleEndian, generate_uid

CT = "1.2.840.10008.5.1.4.1.1.2"
MR = "1.2.840.10008.5.1.4.1.1.4"
ENHANCED_MR = "1.2.840.10008.5.1.4.1.1.4.1"
PET = "1.2.840.10008.5.1.4.1.1.128"
XRAY = "1.2.840.10008.5.1.4.1.1.1"
SCREENSHOT = "1.2.840.10008.5.1.4.1.1.7"
NUCLEAR = "1.2.840.10008.5.1.4.1.1.20"
DOSE_REPORT = "1.2.840.10008.5.1.4.1.1.88.67"
STRUCTURES = "1.2.840.10008.5.1.4.1.1.481.3"
SEGMENTATION = "1.2.840.10008.5.1.4.1.1.66.4"
DIRECTORY = "1.2.840.10008.1.3.10"
_MODALITIES = {CT: "CT", MR: "MR", ENHANCED_MR: "MR", PET: "PT", XRAY: "CR", NUCLEAR: "NM"}
AXIAL = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)
Rescale = tuple[float, float]


def positions_along(
    count: int, step_mm: float, orientation: Sequence[float] = AXIAL, tilt_degrees: float = 0
) -> np.ndarray:
    """Positions (slice, 3) of slices at equal distances, shifted along their columns if tilted."""
    normal = np.cross(orientation[:3], orientation[3:])
    line = normal + np.tan(np.deg2rad(tilt_degrees)) * np.array(orientation[3:])
    return np.outer(np.arange(count) * step_mm, line)


def dicom_object(sop_class: str, **elements: Any) -> Dataset:
    """Header of any DICOM object, without pixels."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = UID(sop_class)
    meta.MediaStorageSOPInstanceUID = generate_uid()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    data = Dataset()
    data.file_meta = meta
    data.SOPClassUID = meta.MediaStorageSOPClassUID
    data.SOPInstanceUID = meta.MediaStorageSOPInstanceUID
    data.Modality = _MODALITIES.get(sop_class, "OT")
    data.PatientID, data.StudyInstanceUID, data.FrameOfReferenceUID = "x", "1.2.3", "1.2.8"
    data.SeriesInstanceUID = generate_uid()
    for name, value in elements.items():
        setattr(data, name, value)
    return data


def save(data: Dataset, file: Path) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    data.save_as(file, enforce_file_format=True)
    return file


def picture(sop_class: str, stored: np.ndarray, **elements: Any) -> Dataset:
    """An image of stored numbers (row, column), or (frame, row, column) if there are several."""
    data = dicom_object(sop_class, **elements)
    data.Rows, data.Columns = stored.shape[-2:]
    data.SamplesPerPixel, data.PhotometricInterpretation = 1, "MONOCHROME2"
    if stored.dtype.kind not in "iu" or stored.dtype.itemsize > 2:
        stored = stored.astype(np.int16)
    data.BitsAllocated = data.BitsStored = 8 * stored.dtype.itemsize
    data.HighBit, data.PixelRepresentation = data.BitsStored - 1, int(stored.dtype.kind == "i")
    if stored.ndim == 3:
        data.NumberOfFrames = len(stored)
    pixels = stored.astype(stored.dtype.newbyteorder("<")).tobytes()
    data.PixelData = pixels + b"\0" * (len(pixels) % 2)
    return data


def write_slices(
    folder: Path,
    stored: np.ndarray,
    positions: Sequence[Sequence[float | str]] | np.ndarray,
    *,
    orientation: Sequence[float | str] = AXIAL,
    spacing_mm: Sequence[float] = (1.0, 1.0),
    rescale: Sequence[Rescale] = (),
    sop_class: str = CT,
    name: str = "{:03d}.dcm",
    **elements: Any,
) -> list[Path]:
    """A series of one file per slice of stored numbers (slice, row, column)."""
    elements = {"SeriesInstanceUID": generate_uid(), "SeriesNumber": 1} | elements
    files = []
    for k, (plane, position) in enumerate(zip(stored, positions, strict=True)):
        data = picture(sop_class, plane, **elements)
        data.InstanceNumber, data.SliceThickness = k + 1, 1
        data.ImagePositionPatient = [_number(mm) for mm in position]
        data.ImageOrientationPatient = [_number(c) for c in orientation]
        data.PixelSpacing = list(spacing_mm)
        if rescale:
            data.RescaleSlope, data.RescaleIntercept = rescale[k]
        files.append(save(data, folder / name.format(k)))
    return files


def write_frames(
    file: Path,
    stored: np.ndarray,
    positions: Sequence[Sequence[float]] | np.ndarray,
    *,
    orientation: Sequence[float] = AXIAL,
    spacing_mm: Sequence[float] = (1.0, 1.0),
    rescale: Sequence[Rescale] = (),
    **elements: Any,
) -> Path:
    """One enhanced file with a frame per slice of stored numbers (frame, row, column)."""
    data = picture(ENHANCED_MR, stored, **elements)
    measures = _item(PixelSpacing=list(spacing_mm), SliceThickness=1)
    directions = _item(ImageOrientationPatient=[_number(c) for c in orientation])
    shared = _item(PixelMeasuresSequence=[measures], PlaneOrientationSequence=[directions])
    data.SharedFunctionalGroupsSequence = [shared]
    frames = []
    for k, position in enumerate(positions):
        frame = _item(
            PlanePositionSequence=[_item(ImagePositionPatient=[_number(mm) for mm in position])]
        )
        if rescale:
            slope, intercept = rescale[k]
            values = _item(RescaleSlope=slope, RescaleIntercept=intercept, RescaleType="US")
            frame.PixelValueTransformationSequence = [values]
        frames.append(frame)
    data.PerFrameFunctionalGroupsSequence = frames
    return save(data, file)


def values_of(file: Path) -> np.ndarray:
    """What pydicom makes of a file of one slice: stored numbers with slope and intercept."""
    data = pydicom.dcmread(file)
    slope, intercept = data.get("RescaleSlope", 1), data.get("RescaleIntercept", 0)
    return np.asarray(data.pixel_array * float(slope) + float(intercept))


def _item(**elements: Any) -> Dataset:
    item = Dataset()
    for name, value in elements.items():
        setattr(item, name, value)
    return item


def _number(value: float | str) -> str:
    """As DICOM stores numbers: at most 16 characters."""
    return value if isinstance(value, str) else pydicom.valuerep.format_number_as_ds(float(value))
