"""How fast the inspection is: pictures to inspect, times of one image, times of whole batches, the report."""
