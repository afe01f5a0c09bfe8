"""Runs that a full disk or a kill ends: nothing is lost, nothing half-written stands under its name."""
