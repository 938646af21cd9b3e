"""Translation: ``image``, a picture for the picture."""

from __future__ import annotations

from components.pipelines import image_inputs
from components.pipelines.tasks import Usage

USAGE = Usage()
SHAPES = {"image-to-image": image_inputs.image}

requests = image_inputs.requests
example = image_inputs.example
read = image_inputs.read_images
line = image_inputs.no_line
