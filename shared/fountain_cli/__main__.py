"""`python -m fountain_cli`."""

from fountain_cli.main import app

app(prog_name="fountain")
