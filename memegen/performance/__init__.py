"""Performances: faces tracked through pictures and videos, as tables and as tracks."""
