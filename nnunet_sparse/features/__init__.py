"""What slices show, as numbers: a masked autoencoder that is trained on the images alone."""
