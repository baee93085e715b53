"""Annotation campaigns: slices of volumes without labels, and what people return of them.

Nothing below uses this package. :mod:`~nnunet_sparse.campaign.campaign` is the folder of a
campaign, :mod:`~nnunet_sparse.campaign.worklist` its table,
:mod:`~nnunet_sparse.campaign.make_campaign` makes and extends it,
:mod:`~nnunet_sparse.campaign.annotation_files` finds what people return and reads it (a file for
each kind), :mod:`~nnunet_sparse.campaign.import_campaign` makes a data set of it.
"""
