"""A stage anywhere: in a private workspace that shares nothing with the project but the DVC remote.

The head keeps the project (:mod:`flows.remote_stages.head`). For each stage it sends a
:class:`~flows.remote_stages.task.Task` to a worker (:mod:`flows.remote_stages.worker`), a process that may be on
another machine, and gets back the stage's part of ``dvc.lock``. The remote holds DVC's objects and run cache as ever,
and a folder ``darkroom`` beside them: the project's files as they were when the run began, and resume points.

What a worker did is found by what the stage is, its command and the hashes of its deps and params, which is how DVC's
run cache finds it. So the same task twice is done once, whoever was killed in between.
"""
