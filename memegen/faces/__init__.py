"""Faces in photos: found, chosen, aligned."""
