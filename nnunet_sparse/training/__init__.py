"""What a training does, without nnU-Net's trainer: settings, recipes, losses, targets, sampling.

``settings`` is the ``"nnsparse"`` block of plans, ``recipe`` everything about a training but the
data, the patch and the batch size, ``paper_recipes`` the paper's seven; the folder ``trainers``
hooks them into nnU-Net.
"""
