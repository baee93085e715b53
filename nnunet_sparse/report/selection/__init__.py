"""What a selection shows: pictures of it, and how well it stands for the other slices."""
