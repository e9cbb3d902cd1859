"""`python -m pgsluice` is the `pgsluice` command."""

from pgsluice.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
