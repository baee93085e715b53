"""Data sets as nnU-Net keeps them: names, files, geometry, labels, splits.

``raw_dataset`` opens a raw data set without changing it, ``declared_labels`` reads the labels that
its ``dataset.json`` declares, ``dataset_name`` finds IDs, ``check_base`` looks for what would spoil
a dense base. ``geometry`` says where voxels lie, by the conventions in ``affines``,
``nifti_readings`` what programs may take for that, ``placement`` and ``same_voxels`` whether two
files lie on each other, and ``slice_axis`` which axis slices are stacked along. ``label_files`` and
``image_files`` read and write what nnU-Net reads, as arrays (pictures by ``flat_pictures``), and
``normalised_slices`` what networks are shown. ``volume_endings`` lists formats of volumes,
``itk_files`` opens their files and says whether they are whole; ``itk_volumes``, ``nifti``,
``dicom_series`` (by what ``dicom_header`` finds in files, with the values of ``dicom_pixels``) and
``slicer_segments`` are what conversions and campaigns read; ``claimed_size`` refuses files that
claim to hold more than they can, ``damaged_files`` says what is wrong with others. ``split`` and
``folds`` say which cases train, ``groups`` which of them belong together, ``training_images`` which
images, ``annotation`` what of a label is annotated and ``annotation_effort`` what that costs.
``preprocessing_record`` says what has been preprocessed, ``stored_images`` finds the images, by
what ``plans_configuration`` says of them, and ``compressed_array`` is how they are kept.
Pictures of slices are made of ``sliced_volume``, ``slice_drawing`` and ``label_colors``.
``dataset_options`` are the options of commands.
"""
