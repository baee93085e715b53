"""The report of an experiment: tables, figures, verdicts, a page, and advice on a budget."""
