"""Converting the paper's public data sets, as they are published, to nnU-Net raw data sets.

============== =====================================================================
module         what
============== =====================================================================
``cases``      what a converter has found: a case and its files
``lits17``     finding and reading LiTS17
``dbc``        finding and reading the Duke breast MRI and its masks
``atlas``      finding and reading ATLAS R2.0
``volumes``    reading NIfTI and NRRD, orientation, putting a label on its image's voxels
``dicom``      reading DICOM series
``target_grid`` the voxels of the converted volume
``resample``   images and labels on these voxels
``tasks``      the paper's four tasks
``paper_split`` its split sizes
``records``    what was done to each case, and what may be replaced
``convert``    the conversion
``cli``        the three commands
============== =====================================================================
"""
