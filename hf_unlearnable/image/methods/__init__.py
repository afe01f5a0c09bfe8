"""The image protections, one file each."""
