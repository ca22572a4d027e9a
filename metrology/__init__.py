"""Measuring the scale of a microscope on a picture of a calibration target: dot grids and stage micrometers."""
