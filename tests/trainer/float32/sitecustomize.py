"""In PYTHONPATH: jobs compute in float32, in which the order of additions shows in the seventh digit, not the third."""

from trainer.job import precision

precision.has_bfloat16 = lambda device: False
