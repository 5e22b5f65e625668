"""Fuzz targets: what comes from outside, bent by a machine that watches which branches it reaches."""
