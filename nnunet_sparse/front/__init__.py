"""The command ``nnsparse``, from which all others are found and run.

No other package uses this one: ``nnsparse_command`` is the command, ``way_of_work`` its list, and
``completion`` makes shells complete commands, options and values.
"""
