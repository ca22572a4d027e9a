"""What only many images together tell: dirt on the optics, one face in two pictures, what became of each mark."""
