"""Rendered end faces with exact ground truth: scenes, surfaces, defects, optics, truth."""
