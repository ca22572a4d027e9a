"""Learning from inspections: the data set that the inspector makes of images, for networks to be trained on."""
