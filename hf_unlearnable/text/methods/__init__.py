"""The text protections, one file each."""
