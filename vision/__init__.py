"""Parts of the image-processing engine: localisation, zoning, residual, evidence, fusion."""
