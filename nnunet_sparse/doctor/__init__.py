"""The doctor: what is wrong with the sparse annotation of a data set, and what to do.

A check is a function that takes data and returns a list of
:class:`~nnunet_sparse.doctor.finding.Finding`; :mod:`nnunet_sparse.doctor.examine` reads the files
and runs all checks.
"""
