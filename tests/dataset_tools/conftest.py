"""Campaigns as those of their own tests."""

from campaign.made_campaigns import copy_campaign

__all__ = ["copy_campaign"]
