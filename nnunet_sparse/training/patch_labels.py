"""Values in the label of a training patch that are neither a class nor ``ignore``.

A patch may reach beyond its image, and an image may hold background that was cropped or masked away
(exact zeros around a brain, say). nnU-Net writes -1 for both and trains both as background. Here
they are told apart until the padding is resolved:

========================= ===== ====================================================
name                      value a voxel
========================= ===== ====================================================
``MASKED_BACKGROUND``        -1 of an annotated slice, background, outside the mask
``PADDING``                  -2 outside the image
``MASKED_IGNORE``            -3 of a slice that is not annotated, outside the mask
========================= ===== ====================================================

The mask is that of the non-zero voxels of the image. All three are below 0, which is where nnU-Net
keeps the image at 0 if it normalises within the mask.
"""

MASKED_BACKGROUND = -1
PADDING = -2
MASKED_IGNORE = -3
