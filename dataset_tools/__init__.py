"""Writing nnU-Net raw data sets: sparse ones from a dense base, and phantoms."""
