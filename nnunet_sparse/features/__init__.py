"""What slices show, as numbers: networks that learn from images alone.

``image_network`` is what such networks have in common (folder, record, lock, resuming, command) and
serves the one of interpolation too; ``mae_request`` and ``mae_presets`` are the masked autoencoder,
``feature_store`` the features of all slices of a base. ``image_network_options`` and
``mae_options`` are the options of commands.
"""
