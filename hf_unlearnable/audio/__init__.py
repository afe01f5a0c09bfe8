"""Recordings: speech, music and other sound."""
