"""Converting the paper's public data sets, as they are published, to nnU-Net raw data sets.

===================== =============================================================================
module                what
===================== =============================================================================
``source_cases``      cases of a published data set, and their files
``lits17``            finding and reading LiTS17
``dbc``               finding and reading the Duke breast MRI and its masks
``atlas``             finding and reading ATLAS R2.0
``target_grid``       voxels of the converted volume
``resample``          images and labels on these voxels
``published_tasks``   the paper's four tasks
``paper_split``       random splits with the paper's numbers of cases
``conversion_record`` what was done to each case, and which data sets may be replaced
``convert``           the conversion
``convert_command``   the three commands
===================== =============================================================================
"""
