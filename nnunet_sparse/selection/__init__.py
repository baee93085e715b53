"""Which slices of which volumes: budgets, the factors of a variant, and the choice itself.

``variant`` holds what tells one sparse data set from another of the same base, ``choose_slices``
applies a selector to it, ``selection`` is the result and its file ``selection.json``.
"""
