"""Preset that is used where none is named; apart, because presets import PyTorch."""

DEFAULT_PRESET = "tiny"
PRESET_NAMES = ("tiny", "small")
