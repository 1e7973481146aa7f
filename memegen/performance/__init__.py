"""Performances: faces followed through pictures and videos, as tables and as tracks."""
