"""``python -m facetgrade`` is the command ``facetgrade``."""

from facetgrade.cli import main

if __name__ == "__main__":
    main()
