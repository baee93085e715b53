"""The Snakemake workflow of an experiment."""
