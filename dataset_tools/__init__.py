"""Writing nnU-Net raw data sets: sparse ones from a dense base, phantoms, and the paper's.

``make_dataset`` and ``interpolate`` make data sets of a base, ``extend_dataset`` the next one with
more slices, ``make_phantom`` and the package ``convert`` make bases. ``publish`` makes one unless
the same exists; ``new_dataset`` reserves an ID and lets the folder appear whole (by
:mod:`nnunet_sparse.system.publication`), ``earlier_partials`` clears what older versions left of
it, ``made_dataset`` tells what has been made.
"""
