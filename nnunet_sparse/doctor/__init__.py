"""The doctor: what is wrong with the sparse annotation of a data set, and what to do.

A check is one function in a file whose name ends in ``checks`` or ``check``: it declares its inputs
as parameters and returns a :class:`~nnunet_sparse.doctor.finding.Finding`; how, is said in
:mod:`nnunet_sparse.doctor.check`. :mod:`nnunet_sparse.doctor.examine` runs all of them.
"""
