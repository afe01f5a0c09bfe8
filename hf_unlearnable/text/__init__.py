"""Protections for text: one file a method, and what they share."""
