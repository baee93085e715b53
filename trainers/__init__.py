"""Trainers: subclasses of nnU-Net's ``nnUNetTrainer`` that override single hooks."""
