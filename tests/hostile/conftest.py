"""Campaigns as those of their own tests."""

from campaign.conftest import write_campaign

__all__ = ["write_campaign"]
