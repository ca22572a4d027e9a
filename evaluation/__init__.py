"""How good the inspection is: truth in, the product's own answers beside it, figures and pictures out."""
