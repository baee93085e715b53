"""Who annotates, where nobody says so."""

import getpass


def user_name() -> str:
    """Name of the user; empty where there is none."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a number without a name, as in containers
        return ""
