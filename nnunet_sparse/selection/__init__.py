"""Which slices of which volumes: budgets, the factors of a variant, and the choice itself.

``variant`` holds what tells one sparse data set from another of the same base and names it,
``budget`` turns shares into numbers of slices, ``choose_slices`` applies a selector, ``selection``
is the result and its file ``selection.json``, ``extend_selection`` adds an ``added_round`` to it,
``round_path`` is how a variant came to its slices in rounds, ``ask_network`` is what a trained
network says to selectors, ``selection_options`` are the options of commands.
"""
