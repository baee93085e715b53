"""Planners: subclasses of nnU-Net's ``ExperimentPlanner``, and the command that runs them."""
