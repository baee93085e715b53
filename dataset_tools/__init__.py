"""Writing nnU-Net raw data sets: sparse ones from a dense base, phantoms, and the paper's."""
