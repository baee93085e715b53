"""Trainers: subclasses of nnU-Net's ``nnUNetTrainer`` that override single hooks, and no maths.

``trainer_classes`` finds trainers by name, ``sparse_loader`` draws patches for annotated slices,
``seeding`` makes batches functions of the repeat, ``repeats`` says which cases a repeat trains on,
``few_cases`` saves and scores a few predictions without nnU-Net's pools.
"""
