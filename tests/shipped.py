"""The jobs that come along, by name."""

from sweeper.resources import job_names
from sweeper.spec.sweep import StitchSection

# stitch-or-fine-tune sets `train`, a key of a stitch section that another change brings.
_LATER = (
    () if "train" in StitchSection.model_fields else ("paper/stitch-or-fine-tune", "paper/stitch-or-fine-tune.small")
)

JOBS = [name for name in job_names() if name not in _LATER]
