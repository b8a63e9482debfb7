"""Grows forests and measures them."""
