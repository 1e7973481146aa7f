"""Labelled face crops: shards on disk, and action units from their labels."""
