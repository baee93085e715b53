"""What a training does, without nnU-Net's trainer: settings, recipes, losses, sampling, targets.

``settings`` is the ``"nnsparse"`` block of plans. ``recipe`` is everything about a training but the
data, the patch and the batch size: ``losses``, ``schedules``, ``recipe_augmentation``, ``roles``
(what labels are to a task), ``patch_centres``, ``pretrained``. ``paper_recipes`` holds the paper's
seven, ``paper_tasks`` its sizes, ``memory`` what they need. ``sampling``, ``patch_labels`` and
``augmentation`` keep annotation where nnU-Net loses it; ``device_transforms`` augments on a device.
The folder ``trainers`` hooks all of it into nnU-Net.
"""
