"""``python -m flows`` is the ``darkroom`` command of the checkout in this folder."""

from flows.cli.app import main

main()
