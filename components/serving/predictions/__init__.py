"""The prediction log: what the server remembers of its answers, where ``prediction_log:`` of ``params.yaml`` says so.

``log``       in a worker: chooses answers and sends them on, behind the response; what does not fit is dropped
``record``    an answer as bytes between the two
``recorder``  a process of its own: takes them from all workers and writes them
``store``     Parquet files on the disk, bounded in bytes and days
"""
