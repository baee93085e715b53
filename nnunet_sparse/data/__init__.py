"""Data sets as nnU-Net keeps them: names, files, geometry, labels, splits.

``raw_dataset`` opens a raw data set without changing it, ``declared_labels`` reads the labels
that its ``dataset.json`` declares, ``dataset_name`` finds and reserves IDs, ``geometry`` says
where voxels lie and which axis slices are stacked along. ``label_files`` and ``image_files`` read
and write what nnU-Net reads, as arrays; ``itk_volumes``, ``nifti`` and ``dicom_series`` what
conversions and campaigns read, as images of ITK; ``damaged_files`` says what is wrong with them.
``split`` and ``folds`` say which cases train, ``annotation`` what of a label is annotated.
Pictures of slices are made of ``sliced_volume``, ``slice_drawing`` and ``label_colors``.
"""
