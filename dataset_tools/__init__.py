"""Writing nnU-Net raw data sets: sparse ones from a dense base, phantoms, and the paper's.

``make_dataset`` and ``interpolate`` make data sets of a base, ``make_phantom`` and the package
``convert`` make bases. ``new_dataset`` reserves an ID and publishes the folder,
``earlier_partials`` clears what older versions left of it, ``made_dataset`` tells what has been
made.
"""
