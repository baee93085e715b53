"""What every command stands on, whatever it is about: errors, files that appear whole, processes.

Nothing here knows of data sets, slices or networks. ``errors`` and ``command`` are the frame of all
commands; ``atomic``, ``locks`` and ``links`` write files; ``parallel``, ``devices``, ``env`` and
``paths`` know the machine and nnU-Net's folders; ``schema`` reads settings that people write;
``model_folder``, ``checkpoint`` and ``resumable`` keep trainings that are killed and continued.
"""
