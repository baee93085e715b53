"""What a trained network says of volumes: how unsure it is of their slices, and what it sees there.

``trained_network`` is a folder of nnU-Net's results, opened without running code of strangers, and
``loaded_network`` the network in memory; ``network_scores`` are ``slice_scores`` of volumes, pooled
from their voxels as ``pooling`` says and kept case by case. ``predicted_volume`` is the label and
the confidence of every voxel, ``probability_slab`` all that is said of some slices, ``kept_labels``
labels of volumes of which slices are read.
``model_options`` are the options of commands.
"""
