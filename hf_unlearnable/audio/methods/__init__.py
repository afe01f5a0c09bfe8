"""The protections of recordings, one file each."""
