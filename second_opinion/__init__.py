"""Networks beside the rules: what a trained model sees of an end face, and what its answers do to an inspection.

``learning`` trains the models; here they are run, by onnxruntime alone.
"""
