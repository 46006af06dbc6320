"""Masks to extents to grade."""
