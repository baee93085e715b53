"""Data sets as nnU-Net keeps them: names, files, geometry, labels, splits.

``raw_dataset`` opens a raw data set without changing it, ``dataset_name`` finds and reserves IDs,
``geometry`` says where voxels lie and which axis slices are stacked along, ``label_files``,
``image_files``, ``volume_files`` and ``dicom_series`` read and write volumes, ``split`` and
``folds`` say which cases train, and ``annotation`` what of a label is annotated.
"""
