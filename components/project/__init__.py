"""What every step knows of the project: ``params.yaml``, where results lie, what is made from what."""
