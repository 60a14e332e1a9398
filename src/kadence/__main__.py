"""``python -m kadence``, for where the script is not on the path."""

from kadence.cli.main import main

main()
