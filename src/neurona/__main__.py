"""The program `neurona`, also as `python -m neurona`."""

from neurona.cli import main

if __name__ == "__main__":
    main()
