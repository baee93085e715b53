from nnunet_sparse.data.image_files import image_files
from nnunet_sparse.data.raw_dataset import RawDataset
from nnunet_sparse.planners.training_files import files_digest


def test_the_spacing_of_tiff_images_belongs_to_them(make_base):
    folder = make_base(num_train=2, ending=".tif")
    spacing = folder / "imagesTr" / "tr_00.json"
    spacing.write_text('{"spacing": [3, 1, 1]}')
    raw = RawDataset.open(folder)
    assert image_files(raw.training["tr_00"].images) == [*raw.training["tr_00"].images, spacing]
    assert image_files(raw.training["tr_01"].images) == list(raw.training["tr_01"].images)
    before = files_digest(raw)
    spacing.write_text('{"spacing": [5, 1, 1]}')
    assert files_digest(raw) != before
