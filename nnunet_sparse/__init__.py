"""Which slices of which volumes should be annotated? Slice-sparse annotation for nnU-Net v2."""


def __getattr__(name: str) -> str:
    if name == "__version__":
        from importlib.metadata import version  # takes as long as all else that --help imports

        return version("nnunet-sparse")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
