"""Attacking protected data: the grid of trainings, what it is compared with, statistics and the report."""
