"""Planners: subclasses of nnU-Net's ``ExperimentPlanner``, and the command that runs them.

``plan_and_preprocess`` does everything from a raw data set to nnU-Net's preprocessed one,
``planner_classes`` finds planners by name, ``plans`` reads and compares the content of plans.
"""
