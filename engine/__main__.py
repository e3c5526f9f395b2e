"""`python -m engine` is `samscope`."""

from engine.cli import main

if __name__ == "__main__":
    main()
